"""Which trial a search runs next."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from orchestrator.planning.plan import PlannedTrial
from orchestrator.search.ledger import TrialSuggested
from orchestrator.search.plan import Group, SearchPlan, SettingValues
from orchestrator.search.rungs import reached
from orchestrator.search.study import Study
from orchestrator.search.summary import GroupSummary, TrialSummary
from orchestrator.search.time_budget import TimeBudget
from search_spaces.searchers import Observation
from search_spaces.searchers.suggest import suggest
from trainables.errors import ConfigError
from trainables.results.status import TrialStatus

REPEATS = 20
"""Suggestions in a row that were all tried before, after which a method has nothing new to say."""

Suggestion = tuple[TrialSuggested, PlannedTrial]


class Suggester:
    """Gives a search's trials one after another: those that an interruption left, then new ones.

    Args:
        study: the search so far.
        plan: makes trials of settings.
        warm_start: name of a group -> its trials in an earlier search: their best settings are
            tried first, and ``optuna`` learns from all of them.
        time_budget: when it is exhausted, no more trials start.
    """

    def __init__(
        self,
        study: Study,
        plan: SearchPlan,
        warm_start: Mapping[str, GroupSummary],
        time_budget: TimeBudget,
    ) -> None:
        self._study = study
        self._plan = plan
        self._warm_start = warm_start
        self._time_budget = time_budget
        self._started: set[str] = set()

    def next(self) -> Suggestion | None:
        """The next trial to start. None if there are no more.

        A new one is in the ledger when this returns. One that failed before this command is tried
        again.
        """
        if self._time_budget.exhausted:
            return None
        for key, event in self._study.suggested.items():
            if key not in self._started and self._is_open(key):
                self._started.add(key)
                group = self._study.groups[event.group]
                return event, self._plan.trial(group, event.settings)
        return self.new()

    def new(self) -> Suggestion | None:
        """Suggest a trial that was never suggested before; see ``next``."""
        suggestion = None if self._time_budget.exhausted else self.suggestion()
        if suggestion is not None:
            self._study.add(suggestion[0])
            self._started.add(suggestion[0].key)
        return suggestion

    def more(self) -> bool:
        """Whether ``next`` has a trial to give, unless the time budget is exhausted."""
        return any(map(self._is_open, self._study.suggested)) or self.any_new()

    def any_new(self) -> bool:
        """Whether ``new`` has a trial to give, unless the time budget is exhausted."""
        return self.suggestion() is not None

    def suggestion(self) -> Suggestion | None:
        """The decision that follows from the ledger so far. None if there is nothing new to try.

        It is for the group that has the fewest trials and of which the method has not suggested
        everything already.
        """
        tune = self._study.description.tune
        counts = {name: len(self._study.trials_of(name)) for name in self._study.groups}
        if tune.max_trials is not None and sum(counts.values()) >= tune.max_trials:
            return None
        for name in sorted(counts, key=lambda name: counts[name]):
            if counts[name] < tune.trials:
                suggestion = self._suggest(self._study.groups[name])
                if suggestion is not None:
                    return suggestion
        return None

    def _is_open(self, key: str) -> bool:
        """Whether a trial that was suggested is still to be trained."""
        return self._study.status(key) in (TrialStatus.UNFINISHED, TrialStatus.FAILED)

    def _suggest(self, group: Group) -> Suggestion | None:
        """A trial that the group has not tried yet. None if the method has no more."""
        before = self._study.trials_of(group.name)
        first = max((event.proposal + 1 for event in before), default=0)
        for index in range(first, first + REPEATS):
            settings = self._settings(group, index)
            if settings is None:
                return None
            try:
                trial = self._plan.trial(group, settings)
            except ConfigError:
                # ``check_suggestions`` has reported a space that suggests such settings.
                continue
            if trial.key not in self._study.suggested:
                event = TrialSuggested(
                    group=group.name,
                    number=len(before),
                    proposal=index,
                    key=trial.key,
                    settings=dict(settings),
                    examples=trial.expected_examples,
                )
                return event, trial
        return None

    def _settings(self, group: Group, index: int) -> SettingValues | None:
        space, tune = self._study.description.space, self._study.description.tune
        earlier = self._warm_start.get(group.name)
        best = best_settings(earlier, group, space.holds)
        if index < len(best):
            return best[index]
        # A trial whose settings changed during training does not owe its score to its last ones.
        fixed = [trial for trial in earlier.tried if not trial.schedule] if earlier else []
        history = [*_observations(fixed, group.rungs), *self._study.observations(group.name)]
        return suggest(space, group.facts, tune.search, tune.seed, index - len(best), history)


def _observations(trials: Iterable[TrialSummary], rungs: Sequence[int]) -> list[Observation]:
    """The trials of an earlier search that have ended, for a search method."""
    return [
        Observation(
            trial.settings,
            trial.status,
            trial.score,
            [(reached(rungs, examples), score) for examples, score in trial.rungs],
        )
        for trial in trials
        if trial.status != TrialStatus.UNFINISHED
    ]


def best_settings(
    earlier: GroupSummary | None,
    group: Group,
    holds: Callable[[SettingValues, SettingValues], bool],
) -> Sequence[SettingValues]:
    """The best settings of a group in an earlier search, if this search's space has them too."""
    if earlier is None or earlier.choice is None or not holds(group.facts, earlier.choice.settings):
        return ()
    return (earlier.choice.settings,)


def check_suggestions(plan: SearchPlan) -> None:
    """Check the settings that a space suggests before anything is trained.

    Raises:
        ConfigError: settings cannot be used together, or cannot be trained at all.
    """
    experiment = plan.experiment
    tune = experiment.tune
    # What TPE suggests later is unknown; random suggestions show what it can suggest.
    method = "random" if tune.search == "optuna" else tune.search
    for group in plan.groups:
        for index in range(tune.trials):
            settings = suggest(experiment.space, group.facts, method, tune.seed, index)
            if settings is None:
                break
            try:
                plan.trial(group, settings)
            except ConfigError as error:
                raise ConfigError(
                    f"space {experiment.space.name}: for {group.name} it proposes settings that "
                    f"cannot be used ({error}); narrow it, or add a condition (when)"
                ) from error
