"""Adapters to Ray Tune: its searcher, its scheduler, and why a trial's process ended."""

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
"""In Ray's message about a process that its memory monitor killed."""


def killed_for_memory(trial: Any) -> bool:
    """Whether Ray killed a trial's process because its machine was running out of memory."""
    return LOW_MEMORY in _error_text(trial)


def failure_reason(trial: Any) -> str:
    """One line on why a trial's process ended, for a human."""
    text = _error_text(trial)
    if not text:
        return "its process died"
    if LOW_MEMORY in text:
        return (
            "its machine ran out of memory and Ray killed its process: lower training.batch_size, "
            "model.max_length or resources.max_concurrent, or set resources.memory"
        )
    if text.startswith("ray::"):
        # A traceback; its last line is the error.
        return redacted(" ".join(text.splitlines()[-1].split()))[:500]
    # Of Ray's page of text, the cause stands between these two phrases.
    reason = redacted(" ".join(text.split()))
    detail = reason.rpartition("exit detail: ")[2].partition(" Some common causes")[0]
    return f"its process was killed or crashed: {detail}"[:300]


def _error_text(trial: Any) -> str:
    """Tune's error message of the trial's last failure; empty if there is none."""
    # Not the pickled error: Tune's folder may be writable for others, and unpickling runs code.
    try:
        text = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
    except (OSError, TypeError):
        return ""
    # The file has all attempts; each begins with a line of Tune's own.
    return text.rpartition("Failure # ")[2].partition("\n")[2].strip()


def reuses_processes(ray: RayConfig) -> bool:
    """Whether a process runs one trial after another."""
    dashboard = ray.dashboard or ray.address is not None
    return not dashboard if ray.reuse == "auto" else ray.reuse


def trainable_name(strategy: str, ray: RayConfig) -> str:
    """The name of the Trainable class that runs a trial."""
    return trainable_of(strategy, reuse=reuses_processes(ray))


def key_of(trial: Any) -> str:
    """The key of the planned trial that one of Tune's trials runs."""
    return trial.config["trial_spec"]["key"]


class SchedulerAdapter(FIFOScheduler):
    """A ``TrialScheduler`` as one of Tune's; ``TuneCallback`` tells it of trials that have ended.

    Trials start in their order, each in the class that its specification names as ``process``: a
    ``Tuner`` has one class for all, but Tune looks up ``trainable_name`` when it starts an actor.

    Args:
        scheduler: decides.
        trials: key -> every trial that has started.
        on_error: gets an error of the scheduler, which Tune would take for the trial's.
    """

    def __init__(
        self,
        scheduler: TrialScheduler,
        trials: Mapping[str, PlannedTrial],
        on_error: Callable[[Exception], None],
    ) -> None:
        super().__init__()
        self._scheduler = scheduler
        self._trials = trials
        self._on_error = on_error

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles it and reads nothing of it.
        return {}

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """See Tune's ``TrialScheduler``; called once per trial, before it starts."""
        trial.trainable_name = trial.config["trial_spec"]["process"]
        self._scheduler.on_trial_add(self._planned(trial))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """See Tune's ``TrialScheduler``."""
        try:
            decision = self._scheduler.on_trial_result(self._planned(trial), result)
        except Exception as error:
            self._on_error(error)
            return self.CONTINUE
        return self.STOP if decision == "stop" else self.CONTINUE

    def _planned(self, trial: Any) -> PlannedTrial:
        return self._trials[key_of(trial)]


class TrialQueue(Searcher):
    """Gives Tune the trials one by one.

    Of a list in its search space, Tune would make a copy for each trial.

    Args:
        next_config: returns ``{"trial_spec": ...}``; None: there are no more.
    """

    def __init__(self, next_config: Callable[[], dict[str, Any] | None]) -> None:
        super().__init__()
        self._next_config = next_config

    def set_search_properties(self, *properties: Any, **spec: Any) -> bool:
        """Tune's own metric, mode and space are not used."""
        return True

    def suggest(self, trial_id: str) -> Any:
        """The next trial's configuration."""
        return self._next_config() or self.FINISHED

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Nothing to learn: schedulers and records know how trials end."""

    def save(self, checkpoint_path: str) -> None:
        """Records and ledger keep everything; Tune expects a file."""
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        """Nothing is restored from Tune's files."""

    def __getstate__(self) -> dict[str, Any]:
        return {}
