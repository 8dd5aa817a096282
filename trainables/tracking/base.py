"""The tracker interface, and the names, tags and values that all trackers log."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Protocol

from trainables.config.trial import TrialConfig
from trainables.results.record import EpochResult, measured


class Tracker(Protocol):
    """Logs the epochs of one trial. A tracker that raises is dropped for that trial."""

    def log(self, epoch: EpochResult) -> None:
        """Log an epoch's losses and metrics, unless it was logged before an interruption."""
        ...

    def finish(self, status: str) -> None:
        """Log the end of the trial; nothing is logged after it.

        Args:
            status: ``finished``, ``failed``, ``diverged``, or ``stopped`` by a scheduler.
        """
        ...


@dataclass(frozen=True)
class Report:
    """The report of a grid.

    Attributes:
        key: key of the experiment; the same for the same trials.
        title: title for humans.
        files: the table and report files, in every format.
    """

    key: str
    title: str
    files: tuple[Path, ...]


def values_of(epoch: EpochResult, config: TrialConfig) -> dict[str, float]:
    """An epoch's values by name, for example ``validation/cola/matthews``.

    Metrics that a split's labels leave undefined are not among them. Cosines of gradients are means
    over the epoch's measurements.
    """
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
                if value is not None:
                    values[f"{split}/{task}/{metric}"] = value
        for task, result in results.items():
            if result.loss is not None:
                values[f"{split}/{task}/loss"] = result.loss
    pairs = combinations(config.tasks, 2)
    cosines = zip(*(measured.values for measured in epoch.gradient_cosines), strict=True)
    for (first, second), of_pair in zip(pairs, cosines, strict=False):
        known = [value for value in of_pair if value is not None]
        if known:
            values[f"gradient_cosine/{first}-{second}"] = fmean(known)
    return values


def tags_of(config: TrialConfig) -> list[str]:
    """Tags of a trial: strategy, model, tasks and seed."""
    tags = [config.arm.strategy, config.model_name, *config.tasks, f"seed-{config.seed}"]
    return list(dict.fromkeys(tags))


def cell_of(config: TrialConfig) -> str:
    """The cell that a trial belongs to; trials of a search have a cell of their own."""
    kind = "/search" if config.search is not None else "/tuned" if config.tuned else ""
    return f"{config.arm_name}/{config.model_name}{kind}"
