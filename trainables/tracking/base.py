"""What a tracker is, and what every one of them is told of a trial."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trainables.config.trial import TrialConfig
from trainables.results.record import EpochResult, measured


class Tracker(Protocol):
    """Receives a trial's curves and its end; whatever it raises drops it from that trial."""

    def log(self, epoch: EpochResult) -> None:
        """One epoch's losses and metrics; one that it has from before an interruption is left."""
        ...

    def finish(self, status: str) -> None:
        """The trial has ended; nothing follows.

        Args:
            status: ``finished``, ``failed``, ``diverged`` or, by a scheduler, ``stopped``.
        """
        ...


@dataclass(frozen=True)
class Report:
    """What a grid came to.

    Attributes:
        key: of the experiment; the same for the same trials.
        title: for humans.
        files: table and report in every format.
    """

    key: str
    title: str
    files: tuple[Path, ...]


def values_of(epoch: EpochResult, config: TrialConfig) -> dict[str, float]:
    """An epoch's numbers by name, for example ``validation/cola/matthews``."""
    values: dict[str, float] = {
        "epoch": epoch.epoch,
        "examples": epoch.examples,
        "seconds": epoch.seconds,
        "learning_rate": epoch.learning_rate,
        "train/loss": epoch.train_loss,
    }
    for split, results in epoch.splits.items():
        for task, metrics in measured(results, config.tasks).items():
            for metric, value in metrics.items():
                values[f"{split}/{task}/{metric}"] = value
        for task, result in results.items():
            if result.loss is not None:
                values[f"{split}/{task}/loss"] = result.loss
    return values


def tags_of(config: TrialConfig) -> list[str]:
    """Strategy, model, tasks and seed."""
    tags = [config.arm.strategy, config.model_name, *config.tasks, f"seed-{config.seed}"]
    return list(dict.fromkeys(tags))


def cell_of(config: TrialConfig) -> str:
    """The cell that a trial belongs to; a search's trials stand apart."""
    kind = "/search" if config.search is not None else "/tuned" if config.tuned else ""
    return f"{config.arm_name}/{config.model_name}{kind}"
