"""The protocol of executors: what runs planned trials, on a cluster or in this process."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Protocol

from orchestrator.monitor.live_view import LiveView
from orchestrator.planning.dependencies import Artifacts
from orchestrator.planning.plan import PlannedTrial
from orchestrator.planning.resources import (
    NOTHING_CHOSEN,
    GpuNeed,
    ResourceChoices,
    TrialResources,
)
from trainables.storage.run_dir import RunDir

Decision = Literal["continue", "stop"]


class TrialScheduler:
    """Decides which trials end early. This one lets every trial train to its end."""

    def on_trial_add(self, trial: PlannedTrial) -> None:
        """A trial is about to start."""

    def on_trial_result(self, trial: PlannedTrial, result: Mapping[str, Any]) -> Decision:
        """A running trial has trained for another slice.

        Args:
            trial: which trial.
            result: its ``Progress``; ``rungs`` has all its measurements so far.
        """
        return "continue"

    def on_trial_complete(self, trial: PlannedTrial) -> None:
        """A trial has ended, for whatever reason; one that was stopped has no record.

        The record, if there is one, has been fetched to the run directory.
        """


class Executor(Protocol):
    """Runs trials: ``TuneExecutor`` with Ray Tune, ``LocalExecutor`` in this process."""

    def resources(
        self,
        trials: int,
        need: Callable[[], GpuNeed],
        choices: ResourceChoices = NOTHING_CHOSEN,
        *,
        measure: bool = False,
    ) -> TrialResources:
        """Share out what there is; the first call connects to Ray, if this executor uses it.

        Args:
            trials: trials of the whole plan, finished ones included.
            need: estimates what the largest trial needs; called only if a GPU is to be divided.
            choices: what an earlier command of the run directory chose.
            measure: whether it is measured now where it was not, which takes a minute or two.

        Raises:
            ResourceError: no node can run a trial, or the cluster cannot be reached.
        """
        ...

    def check(self, run_dir: RunDir, trials: Iterable[PlannedTrial], glue_dir: str | None) -> None:
        """Check that every node can reach the run directory, the data and the encoders.

        Raises:
            InputError: a node cannot; names the node.
        """
        ...

    def run(
        self,
        next_trial: Callable[[], PlannedTrial | None],
        run_dir: RunDir,
        view: LiveView,
        *,
        resources: TrialResources,
        glue_dir: str | None,
        artifacts: Artifacts,
        scheduler: TrialScheduler | None = None,
    ) -> None:
        """Run trials until ``next_trial`` gives None and all that have started have ended.

        Every trial leaves a record, also one that failed, unless ``scheduler`` stopped it.

        Args:
            next_trial: called for each trial to start; None: there are no more.
            run_dir: where records and artifacts go.
            view: shown the progress; must be entered.
            resources: what each trial gets, and how many run at once.
            glue_dir: the GLUE folder, if any.
            artifacts: what each trial must leave for those that need it.
            scheduler: decides which trials end early; None: no trial does.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM; finished records are kept.
        """
        ...


def each(trials: Iterable[PlannedTrial]) -> Callable[[], PlannedTrial | None]:
    """``next_trial`` of a fixed list of trials, started in this order."""
    remaining = iter(trials)
    return lambda: next(remaining, None)
