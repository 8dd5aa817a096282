"""Weights & Biases tracker: one run per trial, grouped by cell.

A run's id is the trial's key, so a resumed trial continues the same run. W&B starts one service per
process, which all trials of the process share.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trainables.config.trial import Runtime, TrialConfig
from trainables.results.record import EpochResult
from trainables.tracking.base import Report, cell_of, tags_of, values_of
from trainables.tracking.reachable import unreachable
from trainables.tracking.wandb_files import steps_in

LONGEST_NAME, LONGEST_TAG = 128, 64
"""Characters that W&B accepts."""

SECONDS = 20.0
"""Longest wait for the server when a run begins or ends; unsent data stays on the disk."""


class WandbTracker:
    """Logs one trial as a W&B run. ``WANDB_MODE=offline`` needs neither account nor network."""

    def __init__(self, config: TrialConfig, runtime: Runtime) -> None:
        self._config = config
        # A resumed offline run writes a second file: read the logged steps from the first.
        self._logged_steps = {
            step for file in _offline_files(runtime, config.key) for step in steps_in(file)
        }
        self._run = _begin(
            runtime,
            config.key,
            name=config.title[:LONGEST_NAME],
            group=cell_of(config)[:LONGEST_NAME],
            tags=list(dict.fromkeys(tag[:LONGEST_TAG] for tag in tags_of(config))),
            config=config.model_dump(mode="json"),
        )

    def log(self, epoch: EpochResult) -> None:
        """See ``Tracker.log``."""
        if epoch.step not in self._logged_steps and epoch.step >= self._run.step:
            self._run.log(values_of(epoch, self._config), step=epoch.step)

    def finish(self, status: str) -> None:
        """See ``Tracker.finish``."""
        self._run.summary["status"] = status
        self._run.finish(exit_code=0 if status in ("finished", "stopped") else 1)


def _begin(runtime: Runtime, key: str, **described: Any) -> Any:
    import wandb

    return wandb.init(
        project=runtime.tracking.wandb.project,
        entity=runtime.tracking.wandb.entity,
        dir=runtime.output_dir,
        id=key,
        resume="allow",
        # Do not wait for a previous run that hangs.
        reinit="create_new",
        settings=wandb.Settings(
            silent=True,
            console="off",
            init_timeout=SECONDS,
            finish_timeout=SECONDS,
            finish_timeout_raises=True,
        ),
        **described,
    )


def _offline_files(runtime: Runtime, key: str) -> Iterator[Path]:
    return Path(runtime.output_dir).glob(f"wandb/offline-run-*-{key}/run-{key}.wandb")


def publish(report: Report, runtime: Runtime) -> None:
    """Log a grid's table and report as an artifact of a run of their own."""
    import wandb

    run = _begin(
        runtime,
        report.key,
        name=report.title[:LONGEST_NAME],
        group="report",
        job_type="report",
        tags=["report"],
    )
    artifact = wandb.Artifact(report.key, type="report")
    for file in report.files:
        artifact.add_file(str(file))
    run.log_artifact(artifact)
    run.finish()


def missing(runtime: Runtime) -> str:
    """Why W&B cannot be used: no API key or no server. Empty if it can, as always offline."""
    if os.environ.get("WANDB_MODE") in ("offline", "disabled", "dryrun"):
        return ""
    import wandb

    advice = "run `wandb login`, set WANDB_API_KEY, or set WANDB_MODE=offline"
    try:
        settings = wandb.setup(wandb.Settings(silent=True)).settings
        logged_in = wandb.login(prompt=False, verify=False)
    # A ValueError is about an environment variable such as WANDB_MODE.
    except (wandb.Error, ValueError) as error:
        return f"{' '.join(str(error).split())}; {advice}"
    if not logged_in:
        return f"no W&B key on this machine; {advice}"
    reason = unreachable(settings.base_url)
    return f"{settings.base_url}: {reason}; set WANDB_MODE=offline and sync later" if reason else ""


def waiting_for_sync(root: Path) -> list[Path]:
    """Folders of a run directory with offline runs that have not been synced to W&B."""
    return [
        folder
        for folder in (root / "wandb", root / "search" / "wandb")
        if any(
            not file.with_name(f"{file.name}.synced").exists()
            for file in folder.glob("offline-run-*/*.wandb")
        )
    ]
