"""What stays on the disk: checkpoints until their trial has ended, nothing that a crash left.

A trial that failed is continued, so it keeps its checkpoints; one that finished or diverged is
never trained again. A segment of a trial keeps its last one for those that go on from it, until
whoever knows them all removes it (``discard``).
"""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from trainables.results.record import TrialRecord
from trainables.storage.run_dir import RunDir
from trainables.training.checkpoint import checkpoints

ABANDONED_SECONDS = 60.0
"""What nobody has written to for so long was left by a killed process. The workers of a driver that
was killed live on for some seconds and may be writing when the next run begins."""

UNFINISHED = (
    "checkpoints/*/.writing-*",
    "models/.*.tmp",
    "models/.*.old",
    "records/.*.json.*.tmp",
    "progress/.*.json.*.tmp",
    "curves/.*.csv.*.tmp",
    "predictions/.*.parquet.*.tmp",
    "teaching/.*.parquet.*.tmp",
    "weights/.*.safetensors.*.tmp",
    ".config.yaml.*.tmp",
    ".plan.json.*.tmp",
    ".environment.json.*.tmp",
    ".results.csv.*.tmp",
    ".table.*.tmp",
    ".tuning.*.tmp",
    ".search.json.*.tmp",
    ".earlier.json.*.tmp",
    ".probe-*",
)
"""What files and folders are called before they are whole, as patterns in a run directory."""


def clean_up_trial(layout: RunDir, record: TrialRecord, *, keep: bool) -> None:
    """Remove what a trial whose record is on the disk needs no more: above all its checkpoints."""
    if record.status == "finished":
        _removed(layout, layout.memory_kills(record.key))
    if record.status == "failed" or keep:
        return
    if record.status == "finished" and record.config.has_next_segment:
        for old in checkpoints(layout.checkpoints(record.key))[1:]:
            shutil.rmtree(old, ignore_errors=True)
    else:
        _removed(layout, layout.checkpoints(record.key))


def discard(layout: RunDir, key: str) -> None:
    """Remove the checkpoints and the progress of a trial that nobody goes on with."""
    for path in (layout.checkpoints(key), layout.progress(key)):
        _removed(layout, path, listed=False)


def clean_up(layout: RunDir, records: Iterable[TrialRecord], *, keep: bool, now: float) -> None:
    """Remove what a crash left; the run directory's lock is held by the caller.

    Args:
        layout: the run directory.
        records: all that are there.
        keep: whether the checkpoints of trials that have ended stay.
        now: Unix seconds by the clock of the disk.
    """
    for record in records:
        clean_up_trial(layout, record, keep=keep)
        if record.status != "failed":
            _removed(layout, layout.progress(record.key))
    for pattern in UNFINISHED:
        for path in layout.root.glob(pattern):
            if now - _written(path) > ABANDONED_SECONDS:
                _remove(path)


def _removed(layout: RunDir, path: Path, *, listed: bool = True) -> None:
    _remove(path)
    with suppress(OSError):
        layout.publish_removal(path, listed=listed)


def _written(path: Path) -> float:
    """When a file, or anything in a folder, was written last; now gone: just now."""
    try:
        return max(p.stat().st_mtime for p in (path, *path.rglob("*")))
    except OSError:
        return float("inf")


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
