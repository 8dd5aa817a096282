"""Every tracker by name: one is added here."""

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
from trainables.tracking.background import Background
from trainables.tracking.base import Report, Tracker

FINISH_SECONDS = 60.0
"""Longest wait for the trackers at the end of a trial, all of them together."""

INSTALL = "`make install-trackers` or `pip install -r requirements-trackers.txt` installs it"


@dataclass(frozen=True)
class Kind:
    """A kind of tracker.

    Attributes:
        packages: what must be installed.
        track: connects one to a trial.
        missing: what else it lacks on this machine, and what to do; empty: nothing.
        publish: keeps a grid's report.
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
    found = {}
    for name in runtime.tracking.trackers:
        kind = TRACKERS[name]
        absent = [package for package in kind.packages if find_spec(package) is None]
        if absent:
            reason = f"the package {absent[0]} is not installed; {INSTALL}"
        else:
            reason = kind.missing(runtime)
        if reason:
            found[name] = reason
    return found


def track(name: str, config: TrialConfig, runtime: Runtime) -> Background:
    """Start a tracker of a trial in a thread of its own."""

    def make() -> Tracker:
        # None of them may make a run directory anew that has gone.
        if not Path(runtime.output_dir).is_dir():
            raise StorageError(f"{runtime.output_dir} is gone")
        return TRACKERS[name].track(config, runtime)

    return Background(name, make)


def end(trackers: Sequence[Background], status: str) -> None:
    """Let them all end, and wait for that as long as ``FINISH_SECONDS`` allows."""
    for tracker in trackers:
        tracker.finish(status)
    latest = time.monotonic() + FINISH_SECONDS
    for tracker in trackers:
        tracker.wait(latest)


class _Publishing:
    """A grid's report on its way to a tracker, as something that has only an end."""

    def __init__(self, name: str, report: Report, runtime: Runtime) -> None:
        TRACKERS[name].publish(report, runtime)

    def log(self, epoch: EpochResult) -> None:
        """There are none."""

    def finish(self, status: str) -> None:
        """It is over."""


def publish(report: Report, runtime: Runtime) -> list[str]:
    """Keep a grid's report with every tracker.

    Returns:
        Which of them did not take it, and why.
    """
    trackers = [
        Background(name, partial(_Publishing, name, report, runtime))
        for name in runtime.tracking.trackers
    ]
    end(trackers, "finished")
    return [tracker.problem for tracker in trackers if tracker.problem]
