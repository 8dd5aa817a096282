"""The trackers of a command: checked before it runs, given its report at the end."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from orchestrator.config.experiment import ExperimentConfig, SingleTrialConfig
from orchestrator.execution.trial_runtime import trial_runtime
from orchestrator.planning.resources import TrialResources
from orchestrator.run_dir.directory import read_plan, warn
from trainables.config.trial import Runtime
from trainables.storage.run_dir import RunDir
from trainables.tracking.base import Report
from trainables.tracking.mlflow import SQLITE, uri_of
from trainables.tracking.registry import publish, unusable
from trainables.tracking.wandb import waiting_for_sync

Config = ExperimentConfig | SingleTrialConfig
SomeConfig = TypeVar("SomeConfig", bound=Config)

REPORTS = ("report.html", "table.*", "tuning.*", "results.csv")
"""Files of a run directory that trackers get at the end of a grid."""


def warn_of_trackers(config: Config, root: Path, console: Console) -> tuple[str, ...]:
    """Print a warning for each tracker that cannot be used here; returns the others."""
    missing = unusable(_runtime(config, root))
    for name, reason in missing.items():
        warn(console, f"tracking.trackers=[{name}]: {reason}; goes on without it")
    return tuple(name for name in config.tracking.trackers if name not in missing)


@contextmanager
def tracked(config: SomeConfig, root: Path, console: Console) -> Iterator[SomeConfig]:
    """The configuration with the trackers that can be used; each of the others is a warning.

    When the block ends, also by Ctrl-C, the command that sends offline runs to W&B is printed.
    The path of MLflow's file is made absolute, since trials run in other working directories.
    """
    usable = warn_of_trackers(config, root, console)
    mlflow, uri = config.tracking.mlflow, uri_of(_runtime(config, root))
    if "mlflow" in usable and uri.startswith(SQLITE):
        file = Path(uri.removeprefix(SQLITE)).resolve()
        mlflow = mlflow.model_copy(update={"tracking_uri": f"{SQLITE}{file}"})
    try:
        tracking = config.tracking.model_copy(update={"trackers": usable, "mlflow": mlflow})
        yield config.model_copy(update={"tracking": tracking})
    finally:
        if hint := sync_hint(root):
            console.print(hint, markup=False, highlight=False, soft_wrap=True)


def publish_report(config: ExperimentConfig, run_dir: RunDir, console: Console) -> None:
    """Give the trackers the table and report of a grid; a tracker that refuses is a warning."""
    if not config.tracking.trackers or not run_dir.plan.exists():
        return
    keys = sorted(trial.key for trial in read_plan(run_dir))
    files = [file for pattern in REPORTS for file in sorted(run_dir.root.glob(pattern))]
    key = f"report-{sha256(' '.join(keys).encode()).hexdigest()[:12]}"
    report = Report(key, f"report of {config.name}", tuple(files))
    for problem in publish(report, _runtime(config, run_dir.root)):
        warn(console, f"report: {problem}")


def sync_hint(root: Path) -> str:
    """The command that sends offline runs to W&B; empty if there are none.

    An interrupted trial has a file for each of its parts; they become one run.
    """
    folders = waiting_for_sync(root)
    if not folders:
        return ""
    paths = " ".join(f"{shlex.quote(str(folder))}/offline-run-*" for folder in folders)
    return f"send the offline runs to W&B with: wandb sync {paths}"


def _runtime(config: Config, root: Path) -> Runtime:
    """What trackers need; no trial runs with it."""
    return trial_runtime(config, RunDir(root), TrialResources(cpu=1, gpu=0.0, slots=1))
