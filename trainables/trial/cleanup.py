"""Removes what a run directory no longer needs: old checkpoints and files left by crashes.

A failed trial keeps its checkpoints, because the next run resumes it; one that finished or diverged
is never trained again. A segment of a trial keeps its last checkpoint for the segments that
continue it, until the search calls ``discard``.
"""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from trainables.results.record import TrialRecord
from trainables.storage.run_dir import RunDir
from trainables.training.checkpoint import checkpoints

ABANDONED_SECONDS = 60.0
"""Age at which a temporary file counts as left by a killed process. The workers of a killed driver
live on for a few seconds and may still be writing when the next run begins."""

TEMPORARY = (
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
    ".resources.json.*.tmp",
    ".results.csv.*.tmp",
    ".predictions_cache.parquet.*.tmp",
    ".table.*.tmp",
    ".tuning.*.tmp",
    ".search.json.*.tmp",
    ".earlier.json.*.tmp",
    ".probe-*",
)
"""Glob patterns, in a run directory, of files and folders that are still being written."""


def clean_up_trial(run_dir: RunDir, record: TrialRecord, *, keep: bool) -> None:
    """Remove the checkpoints and other state that a recorded trial no longer needs.

    Args:
        run_dir: the run directory.
        record: the trial's record.
        keep: whether to keep the checkpoints.
    """
    if record.status == "finished":
        _remove_and_sync(run_dir, run_dir.memory_kills(record.key))
    if record.status == "failed" or keep:
        return
    if record.status == "finished" and record.config.has_next_segment:
        for old in checkpoints(run_dir.checkpoints(record.key))[1:]:
            shutil.rmtree(old, ignore_errors=True)
    else:
        _remove_and_sync(run_dir, run_dir.checkpoints(record.key))


def discard(run_dir: RunDir, key: str) -> None:
    """Remove the checkpoints and progress file of a trial that no other trial will continue."""
    for path in (run_dir.checkpoints(key), run_dir.progress(key)):
        _remove_and_sync(run_dir, path, listed=False)


def clean_up(run_dir: RunDir, records: Iterable[TrialRecord], *, keep: bool, now: float) -> None:
    """Remove what recorded trials no longer need and what a crash left; the caller holds the lock.

    Args:
        run_dir: the run directory.
        records: all of its records.
        keep: whether to keep the checkpoints of trials that have ended.
        now: Unix time by the clock of the file system.
    """
    for record in records:
        clean_up_trial(run_dir, record, keep=keep)
        if record.status != "failed":
            _remove_and_sync(run_dir, run_dir.progress(record.key))
    for pattern in TEMPORARY:
        for path in run_dir.root.glob(pattern):
            if now - _written(path) > ABANDONED_SECONDS:
                _remove(path)


def _remove_and_sync(run_dir: RunDir, path: Path, *, listed: bool = True) -> None:
    """Remove a path here and in the object store, if there is one."""
    _remove(path)
    with suppress(OSError):
        run_dir.publish_removal(path, listed=listed)


def _written(path: Path) -> float:
    """Unix time of the last write to a file or a folder's content; infinity if it is gone."""
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
