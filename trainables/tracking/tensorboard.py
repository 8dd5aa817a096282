"""TensorBoard tracker: one folder per trial, ``tensorboard/KEY``, without TensorFlow."""

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from trainables.config.trial import Runtime, TrialConfig
from trainables.results.record import EpochResult
from trainables.tracking.base import Report, cell_of, tags_of, values_of

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorboardTracker:
    """Logs one trial. The HParams tab lists the trials by arm, model, task and seed."""

    def __init__(self, config: TrialConfig, runtime: Runtime) -> None:
        folder = _folder(runtime) / config.key
        self._config = config
        self._logged = _logged_points(folder)
        self._step = 0
        is_resumed = any(folder.glob("events.*"))
        self._writer = _writer(folder)
        if not is_resumed:
            self._describe()

    def log(self, epoch: EpochResult) -> None:
        """See ``Tracker.log``."""
        self._step = epoch.step
        for name, value in values_of(epoch, self._config).items():
            if (name, epoch.step) not in self._logged:
                self._writer.add_scalar(name, value, epoch.step)
        self._writer.flush()

    def finish(self, status: str) -> None:
        """See ``Tracker.finish``."""
        self._writer.add_text("status", status, self._step)
        self._writer.close()

    def _describe(self) -> None:
        """Write the trial's title, tags, configuration and hyperparameters."""
        from torch.utils.tensorboard.summary import hparams

        config = self._config
        chosen = {
            "arm": config.arm_name,
            "strategy": config.arm.strategy,
            "model": config.model_name,
            "tasks": ", ".join(config.tasks),
            "seed": config.seed,
        }
        shown = {f"validation/{name}/{task.headline}": 0.0 for name, task in config.tasks.items()}
        for summary in hparams(chosen, shown)[:2]:
            self._writer._get_file_writer().add_summary(summary)
        described = json.dumps(config.model_dump(mode="json"), indent=1)
        self._writer.add_text("title", config.title, 0)
        self._writer.add_text("tags", ", ".join([cell_of(config), *tags_of(config)]), 0)
        # Indented by four spaces: preformatted text in Markdown.
        self._writer.add_text("config", "".join(f"    {s}\n" for s in described.splitlines()), 0)
        self._writer.flush()


def _folder(runtime: Runtime) -> Path:
    return Path(runtime.output_dir) / "tensorboard"


def _writer(folder: Path) -> "SummaryWriter":
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))


def _logged_points(folder: Path) -> set[tuple[str, int]]:
    """(name, step) of all scalars in a folder, including those of a truncated file."""
    return set(_scalars(folder))


def _scalars(folder: Path) -> Iterator[tuple[str, int]]:
    if not any(folder.glob("events.*")):
        return
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    # It warns of files that a killed process left truncated, which is to be expected.
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    for tag in events.Tags()["scalars"]:
        for event in events.Scalars(tag):
            yield tag, event.step


def publish(report: Report, runtime: Runtime) -> None:
    """Write a grid's table to the Text tab, replacing that of an earlier run."""
    folder = _folder(runtime) / "report"
    if folder.is_dir():
        shutil.rmtree(folder)
    writer = _writer(folder)
    for file in report.files:
        if file.suffix == ".md":
            writer.add_text(file.stem, file.read_text(encoding="utf-8"), 0)
    writer.close()


def missing(runtime: Runtime) -> str:
    """Empty: TensorBoard needs nothing but its package."""
    return ""
