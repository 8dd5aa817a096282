"""Whether trials share processes, and so what Ray's dashboard can call them."""

from typing import Any

from ray.tune.schedulers import FIFOScheduler

from orchestrator.surroundings import RayConfig
from trainables.tune import trainable_of


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
