"""The general search: settings are suggested one by one, and each trial may be stopped early."""

from dataclasses import replace
from typing import ClassVar

from rich.console import Console

from orchestrator.execution.executor import Executor
from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.state import Expected, GridProgress
from orchestrator.planning.pending import artifacts_of
from orchestrator.planning.plan import PlannedTrial
from orchestrator.planning.resources import TrialResources
from orchestrator.search.ledger import TrialSuggested
from orchestrator.search.plan import SearchPlan
from orchestrator.search.study import Study
from orchestrator.search.suggest import Suggester
from orchestrator.search.time_budget import TimeBudget
from trainables.results.status import TrialStatus
from trainables.storage.run_dir import RunDir


class TrialSearch:
    """Trains each trial from its start to its end, unless the group's scheduler stops it.

    A ``SearchEngine``.

    Args:
        study: the search so far.
        plan: what is searched.
        suggester: gives the trials.
        run_dir: the folder of the trials.
        time_budget: when it is exhausted, trials end unfinished and no more start.
    """

    study_class: ClassVar[type[Study]] = Study

    def __init__(
        self,
        study: Study,
        plan: SearchPlan,
        suggester: Suggester,
        run_dir: RunDir,
        time_budget: TimeBudget,
    ) -> None:
        self._study = study
        self._plan = plan
        self._suggester = suggester
        self._run_dir = run_dir
        self._time_budget = time_budget

    @classmethod
    def check(cls, plan: SearchPlan) -> None:
        """See ``SearchEngine``; any space can be searched like this."""

    def more(self) -> bool:
        """See ``SearchEngine``."""
        return self._suggester.more()

    def run(self, executor: Executor, resources: TrialResources, console: Console) -> None:
        """See ``SearchEngine``."""
        # Ray Tune's schedulers take seconds to import, and a report needs none.
        from orchestrator.search.schedulers import SearchScheduler

        with LiveView(GridProgress([], resources.slots), console) as view:
            forecast = Forecast(self._study, view)

            def next_trial() -> PlannedTrial | None:
                suggestion = self._suggester.next()
                if suggestion is None:
                    forecast.clear()
                    return None
                forecast.suggested(*suggestion)
                return suggestion[1]

            executor.run(
                next_trial,
                self._run_dir,
                view,
                resources=resources,
                glue_dir=self._plan.glue_dir,
                artifacts=artifacts_of(self._plan.upstream),
                scheduler=SearchScheduler(self._study, self._run_dir, view, self._time_budget),
            )

    def clear(self) -> None:
        """See ``SearchEngine``; no trial goes on from another one's checkpoint."""

    def kept_checkpoints(self, slots: int) -> int:
        """See ``SearchEngine``."""
        return 0


class Forecast:
    """Trials that are still to be suggested, as the live view counts them.

    Their cost is guessed from the share of its budget that an earlier trial took on average.
    """

    def __init__(self, study: Study, view: LiveView) -> None:
        self._study = study
        self._view = view
        tune = study.description.tune
        numbers = [
            (group, number)
            for number in range(tune.trials)
            for group in study.groups.values()
            if number >= len(study.trials_of(group.name))
        ]
        if tune.max_trials is not None:
            numbers = numbers[: max(0, tune.max_trials - len(study.suggested))]
        self._placeholders = [
            Expected(
                f"{group.name}#{number}", group.name, group.model, group.budget, group=group.name
            )
            for group, number in numbers
        ]
        view.expect(self._placeholders)

    def suggested(self, event: TrialSuggested, trial: PlannedTrial) -> None:
        """A trial takes the place of its placeholder."""
        placeholder = f"{event.group}#{event.number}"
        title = f"{event.group} #{event.number}"
        expected = Expected(
            event.key, title, trial.config.model_name, trial.expected_examples, group=event.group
        )
        self._view.expect([expected], [placeholder])
        self._placeholders = [p for p in self._placeholders if p.key != placeholder]
        self._rescale()

    def clear(self) -> None:
        """No more trials will be suggested."""
        self._view.expect([], [placeholder.key for placeholder in self._placeholders])
        self._placeholders = []

    def _rescale(self) -> None:
        ended = [
            self._study.trial_summary(event)
            for event in self._study.suggested.values()
            if self._study.status(event.key) in (TrialStatus.FINISHED, TrialStatus.STOPPED)
        ]
        if not ended:
            return
        share = sum(trial.examples for trial in ended) / sum(trial.full for trial in ended)
        scaled = [
            replace(placeholder, examples=max(1, round(share * placeholder.examples)))
            for placeholder in self._placeholders
        ]
        self._view.expect(scaled, [placeholder.key for placeholder in self._placeholders])
