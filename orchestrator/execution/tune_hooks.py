"""What Ray Tune asks for and says: the next trial, its process, why it ended."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from orchestrator.config.runtime import RayConfig
from orchestrator.execution.executor import TrialScheduler
from orchestrator.planning.plan import PlannedTrial
from trainables.secrets import redacted
from trainables.tune.trainable import trainable_of

LOW_MEMORY = "due to the node running low on memory"
"""What Ray says of a process that its memory monitor killed."""


def killed_for_memory(trial: Any) -> bool:
    """Whether Ray killed a trial's process because its machine was running out of memory."""
    return LOW_MEMORY in _told(trial)


def why(trial: Any) -> str:
    """One line about why Tune gave a trial up."""
    told = _told(trial)
    if not told:
        return "its process died"
    if LOW_MEMORY in told:
        return (
            "its machine ran out of memory and Ray killed its process: lower training.batch_size, "
            "model.max_length or resources.max_concurrent, or set resources.memory"
        )
    if told.startswith("ray::"):
        # A traceback; its last line is the error.
        return redacted(" ".join(told.splitlines()[-1].split()))[:500]
    # Ray says a page about it; what differs stands after this and before general advice.
    reason = redacted(" ".join(told.split()))
    detail = reason.rpartition("exit detail: ")[2].partition(" Some common causes")[0]
    return f"its process was killed or crashed: {detail}"[:300]


def _told(trial: Any) -> str:
    """What Tune was told of the trial's last end; empty where that is not to be found."""
    # Not the error itself, which Tune pickles into a folder that others may write: reading it would
    # run what they put there.
    try:
        told = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
    except (OSError, TypeError):
        return ""
    # One file has all the attempts; each begins with a line of Tune's own.
    return told.rpartition("Failure # ")[2].partition("\n")[2].strip()


def reuses(ray: RayConfig) -> bool:
    """Whether a process takes one trial after another."""
    seen = ray.dashboard or ray.address is not None
    return not seen if ray.reuse == "auto" else ray.reuse


def process_of(strategy: str, ray: RayConfig) -> str:
    """The name of the class that runs a trial."""
    return trainable_of(strategy, reuse=reuses(ray))


class Scheduler(FIFOScheduler):
    """Starts trials in their order, each in the class that its cell names as ``process``.

    A ``Tuner`` has one class for all, but Tune looks a trial's class up by the trial's own
    ``trainable_name`` when it starts an actor for it.
    """

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """See ``TrialScheduler``; Tune comes here once per trial, before it starts."""
        trial.trainable_name = trial.config["cell"]["process"]


class SchedulerAdapter(Scheduler):
    """A ``TrialScheduler`` as one of Tune's; ``TuneCallback`` tells it of trials that have ended.

    Args:
        scheduler: decides.
        trials: key -> every trial that has started.
    """

    def __init__(self, scheduler: TrialScheduler, trials: Mapping[str, PlannedTrial]) -> None:
        super().__init__()
        self._scheduler = scheduler
        self._trials = trials

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles it and reads nothing of it.
        return {}

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """See ``TrialScheduler``."""
        super().on_trial_add(tune_controller, trial)
        self._scheduler.on_trial_add(self._planned(trial))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """See ``TrialScheduler``."""
        decision = self._scheduler.on_trial_result(self._planned(trial), result)
        return self.STOP if decision == "stop" else self.CONTINUE

    def _planned(self, trial: Any) -> PlannedTrial:
        return self._trials[trial.config["cell"]["key"]]


class TrialQueue(Searcher):
    """What Tune asks for the next trial, until there is none.

    Given as a list, Tune would copy all of it for each of its trials.

    Args:
        next_cell: gives ``{"cell": ...}``.
    """

    def __init__(self, next_cell: Callable[[], dict[str, Any] | None]) -> None:
        super().__init__()
        self._next_cell = next_cell

    def set_search_properties(self, *properties: Any, **spec: Any) -> bool:
        """Nothing of Tune's own notion of metric and space is used."""
        return True

    def suggest(self, trial_id: str) -> Any:
        """The next trial's configuration."""
        return self._next_cell() or self.FINISHED

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """The scheduler and the records tell how trials end."""

    def save(self, checkpoint_path: str) -> None:
        """Records and ledger keep all; Tune wants a file."""
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        """Nothing is restored from Tune's files."""

    def __getstate__(self) -> dict[str, Any]:
        return {}
