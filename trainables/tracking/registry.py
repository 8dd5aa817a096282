"""The registry of trackers: add a new one here."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from trainables.config.trial import Runtime, TrialConfig
from trainables.errors import StorageError
from trainables.results.record import EpochResult
from trainables.tracking import mlflow, tensorboard, wandb
from trainables.tracking.background import BackgroundTracker
from trainables.tracking.base import Report, Tracker

FINISH_SECONDS = 60.0
"""Longest wait for all trackers together at the end of a trial."""

INSTALL = "`make install-trackers` or `pip install -r requirements-trackers.txt` installs it"


@dataclass(frozen=True)
class Kind:
    """A kind of tracker.

    Attributes:
        packages: packages that must be installed.
        track: creates the tracker of a trial.
        missing: what else is missing on this machine, and what to do; empty if nothing is.
        publish: logs the report of a grid.
    """

    packages: tuple[str, ...]
    track: Callable[[TrialConfig, Runtime], Tracker]
    missing: Callable[[Runtime], str]
    publish: Callable[[Report, Runtime], None]


TRACKERS = {
    "wandb": Kind(("wandb",), wandb.WandbTracker, wandb.missing, wandb.publish),
    "tensorboard": Kind(
        ("tensorboard",),
        tensorboard.TensorboardTracker,
        tensorboard.missing,
        tensorboard.publish,
    ),
    "mlflow": Kind(
        ("mlflow", "sqlalchemy", "alembic"), mlflow.MlflowTracker, mlflow.missing, mlflow.publish
    ),
}


def unusable(runtime: Runtime) -> dict[str, str]:
    """Which of ``runtime.tracking.trackers`` cannot be used here: name -> why, and what to do."""
    reasons = {}
    for name in runtime.tracking.trackers:
        kind = TRACKERS[name]
        absent = [package for package in kind.packages if find_spec(package) is None]
        if absent:
            reason = f"the package {absent[0]} is not installed; {INSTALL}"
        else:
            reason = kind.missing(runtime)
        if reason:
            reasons[name] = reason
    return reasons


def track(name: str, config: TrialConfig, runtime: Runtime) -> BackgroundTracker:
    """Start the tracker ``name`` of a trial in a thread of its own."""

    def make() -> Tracker:
        # A tracker must not create the run directory again if it is gone.
        if not Path(runtime.output_dir).is_dir():
            raise StorageError(f"{runtime.output_dir} is gone")
        return TRACKERS[name].track(config, runtime)

    return BackgroundTracker(name, make)


def finish(trackers: Sequence[BackgroundTracker], status: str) -> None:
    """Finish all trackers of a trial, waiting at most ``FINISH_SECONDS`` in all."""
    for tracker in trackers:
        tracker.finish(status)
    latest = time.monotonic() + FINISH_SECONDS
    for tracker in trackers:
        tracker.wait(latest)


class _Publishing:
    """Publishes a grid's report when it is made; a ``Tracker`` without epochs."""

    def __init__(self, name: str, report: Report, runtime: Runtime) -> None:
        TRACKERS[name].publish(report, runtime)

    def log(self, epoch: EpochResult) -> None:
        """Never called: a report has no epochs."""

    def finish(self, status: str) -> None:
        """Nothing left to do."""


def publish(report: Report, runtime: Runtime) -> list[str]:
    """Log a grid's report with every tracker.

    Returns:
        A message for each tracker that failed, and why.
    """
    trackers = [
        BackgroundTracker(name, partial(_Publishing, name, report, runtime))
        for name in runtime.tracking.trackers
    ]
    finish(trackers, "finished")
    return [tracker.problem for tracker in trackers if tracker.problem]
