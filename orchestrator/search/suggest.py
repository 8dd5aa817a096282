"""Which trial a search runs next."""

from collections.abc import Callable, Mapping, Sequence

from orchestrator.planning.plan import PlannedTrial
from orchestrator.search.ledger import TrialSuggested
from orchestrator.search.plan import Group, SearchPlan, SettingValues
from orchestrator.search.study import SearchState, observed
from orchestrator.search.summary import GroupSummary
from search_spaces.searchers.suggest import suggest
from trainables.errors import ConfigError

REPEATS = 20
"""TrialQueue in a row that were there before, after which a method has nothing new to say."""


class Suggester:
    """Gives a search's trials one after another: those that an interruption left, then new ones.

    Args:
        state: what was proposed before.
        plan: makes trials of settings.
        earlier: name of a group -> what an earlier search found of it: its best settings are the
            first that are tried, and ``optuna`` learns from all of it.
        ended: says that no new trials are to start.
    """

    def __init__(
        self,
        state: SearchState,
        plan: SearchPlan,
        earlier: Mapping[str, GroupSummary],
        ended: Callable[[], bool],
    ) -> None:
        self._state = state
        self._plan = plan
        self._earlier = earlier
        self._ended = ended
        self._exhausted: set[str] = set()
        self._given: set[str] = set()

    def next(self) -> tuple[TrialSuggested, PlannedTrial] | None:
        """The next trial; none: there will be no more.

        A new one is in the ledger when this returns. One that failed before this command is tried
        again.
        """
        if self._ended():
            return None
        for key, event in self._state.proposed.items():
            if key not in self._given and self._state.status(key) in ("unfinished", "failed"):
                self._given.add(key)
                return event, self._trial(event)
        return self.new()

    def new(self) -> tuple[TrialSuggested, PlannedTrial] | None:
        """The next trial that was never proposed; see ``next``."""
        found = None if self._ended() else self._new()
        if found is not None:
            self._state.add(found[0])
            self._given.add(found[0].key)
        return found

    def more(self) -> bool:
        """Whether ``next`` has a trial to give, unless the search's time is up."""
        left = (self._state.status(key) in ("unfinished", "failed") for key in self._state.proposed)
        return any(left) or self.any_new()

    def any_new(self) -> bool:
        """Whether ``new`` has a trial to give, unless the search's time is up."""
        return self._new() is not None

    def _new(self) -> tuple[TrialSuggested, PlannedTrial] | None:
        while (group := self._group()) is not None:
            found = self._propose(group)
            if found is not None:
                return found
            self._exhausted.add(group.name)
        return None

    def _trial(self, event: TrialSuggested) -> PlannedTrial:
        return self._plan.trial(self._state.groups[event.group], event.settings)

    def _group(self) -> Group | None:
        """The group that has the fewest trials; none: all have as many as they get."""
        tune = self._state.description.tune
        counts = {name: len(self._state.trials_of(name)) for name in self._state.groups}
        if tune.max_trials is not None and sum(counts.values()) >= tune.max_trials:
            return None
        open_ = [n for n in counts if counts[n] < tune.trials and n not in self._exhausted]
        return self._state.groups[min(open_, key=lambda n: counts[n])] if open_ else None

    def _propose(self, group: Group) -> tuple[TrialSuggested, PlannedTrial] | None:
        """Settings that the group has not tried yet; none: the method has no more."""
        before = self._state.trials_of(group.name)
        first = max((event.proposal + 1 for event in before), default=0)
        for proposal in range(first, first + REPEATS):
            settings = self._settings(group, proposal)
            if settings is None:
                return None
            try:
                trial = self._plan.trial(group, settings)
            except ConfigError:
                # ``check_proposals`` has told of a space that proposes such things.
                continue
            if trial.key not in self._state.proposed:
                event = TrialSuggested(
                    group=group.name,
                    number=len(before),
                    proposal=proposal,
                    key=trial.key,
                    settings=dict(settings),
                    examples=trial.expected_examples,
                )
                return event, trial
        return None

    def _settings(self, group: Group, proposal: int) -> SettingValues | None:
        description = self._state.description
        best = best_settings(self._earlier.get(group.name), group, description.space.holds)
        if proposal < len(best):
            return best[proposal]
        earlier = self._earlier.get(group.name)
        # What a trial scored whose settings changed on the way, it does not owe to its last ones.
        before = [one for one in earlier.tried if not one.schedule] if earlier else []
        history = [*observed(before, group.rungs), *self._state.observed(group.name)]
        tune = description.tune
        return suggest(
            description.space, group.facts, tune.search, tune.seed, proposal - len(best), history
        )


def best_settings(
    earlier: GroupSummary | None,
    group: Group,
    holds: Callable[[SettingValues, SettingValues], bool],
) -> Sequence[SettingValues]:
    """What an earlier search chose for a group, where this search's space has it too."""
    if earlier is None or earlier.choice is None or not holds(group.facts, earlier.choice.settings):
        return ()
    return (earlier.choice.settings,)


def check_proposals(plan: SearchPlan) -> None:
    """Look at settings as the space gives them before anything is trained.

    Raises:
        ConfigError: some of them cannot stand together, or be trained at all.
    """
    experiment = plan.experiment
    tune = experiment.tune
    # What TPE proposes later is not known; what it can suggest, random proposals show.
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
