"""The general search: settings are suggested one by one, and each trial may be stopped early."""

from typing import ClassVar

from rich.console import Console

from orchestrator.execution.executor import Executor
from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.state import GridProgress
from orchestrator.planning.dependencies import artifacts_of
from orchestrator.planning.plan import PlannedTrial
from orchestrator.planning.resources import TrialResources
from orchestrator.search.plan import SearchPlan
from orchestrator.search.study import Study, forecast_of
from orchestrator.search.suggest import Suggester
from orchestrator.search.time_budget import TimeBudget
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
            forecast = forecast_of(self._study, view)

            def next_trial() -> PlannedTrial | None:
                suggestion = self._suggester.next()
                if suggestion is None:
                    forecast.clear()
                    return None
                event, trial = suggestion
                forecast.add(event.key, (event.group, event.number, 0), event.examples)
                forecast.rescale()
                return trial

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
