"""Experiment trackers, fed by a trial in its own process."""

import os
from collections.abc import Callable
from typing import Protocol

from trainables.config import Runtime, TrialConfig
from trainables.errors import ConfigError
from trainables.record import EpochResult, measured

LONGEST_NAME, LONGEST_TAG = 128, 64
"""Characters that W&B takes."""


class Tracker(Protocol):
    """Receives a trial's curves and its end."""

    def log(self, epoch: EpochResult) -> None:
        """One epoch's losses and metrics."""
        ...

    def finish(self, status: str) -> None:
        """The trial has ended; nothing follows.

        Args:
            status: ``finished``, ``failed``, ``diverged`` or, by a scheduler, ``stopped``.
        """
        ...


class WandbTracker:
    """Weights & Biases: a run per trial, grouped by cell.

    The run's id is the trial's key, so a trial that goes on after an interruption goes on in the
    same run. ``WANDB_MODE=offline`` needs neither account nor network.
    """

    def __init__(self, config: TrialConfig, runtime: Runtime) -> None:
        import wandb

        self._tasks = config.tasks
        tags = [config.arm.strategy, config.model_name, *config.tasks, f"seed-{config.seed}"]
        self._run = wandb.init(
            project=runtime.wandb.project,
            entity=runtime.wandb.entity,
            dir=runtime.output_dir,
            id=config.key,
            name=config.title[:LONGEST_NAME],
            group=_group(config)[:LONGEST_NAME],
            tags=list(dict.fromkeys(tag[:LONGEST_TAG] for tag in tags)),
            config=config.model_dump(mode="json"),
            resume="allow",
            settings=wandb.Settings(silent=True, console="off"),
        )

    def log(self, epoch: EpochResult) -> None:
        """See ``Tracker.log``."""
        values: dict[str, float] = {
            "epoch": epoch.epoch,
            "train/loss": epoch.train_loss,
            "learning_rate": epoch.learning_rate,
        }
        for split, results in epoch.splits.items():
            for task, metrics in measured(results, self._tasks).items():
                for metric, value in metrics.items():
                    values[f"{split}/{task}/{metric}"] = value
        self._run.log(values, step=epoch.step)

    def finish(self, status: str) -> None:
        """See ``Tracker.finish``."""
        self._run.summary["status"] = status
        self._run.finish(exit_code=0 if status in ("finished", "stopped") else 1)


def _group(config: TrialConfig) -> str:
    """The cell that a trial belongs to; a search's trials stand apart."""
    kind = "/search" if config.search is not None else "/tuned" if config.tuned else ""
    return f"{config.arm_name}/{config.model_name}{kind}"


TRACKERS: dict[str, Callable[[TrialConfig, Runtime], Tracker]] = {"wandb": WandbTracker}


def make_trackers(config: TrialConfig, runtime: Runtime) -> list[Tracker]:
    """The trackers that ``runtime.tracking`` names."""
    return [TRACKERS[name](config, runtime) for name in runtime.tracking]


def check_trackers(names: tuple[str, ...]) -> None:
    """Find out before anything is trained whether the trackers can be used.

    Raises:
        ConfigError: one cannot; says what to do.
    """
    if "wandb" not in names or os.environ.get("WANDB_MODE") in ("offline", "disabled", "dryrun"):
        return
    import wandb

    advice = "run `wandb login`, set WANDB_API_KEY, or set WANDB_MODE=offline"
    try:
        wandb.setup(wandb.Settings(silent=True))
        known = wandb.login(prompt=False, verify=False)
    # A ValueError is about a variable of the environment, such as WANDB_MODE.
    except (wandb.Error, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"tracking=[wandb]: {reason}; {advice}") from error
    if not known:
        raise ConfigError(f"tracking=[wandb]: no W&B key on this machine; {advice}")
