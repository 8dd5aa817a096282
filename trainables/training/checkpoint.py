"""Writes and verifies checkpoints, from which a trial resumes bit for bit.

A checkpoint is a folder ``step-00000123``: weights as safetensors, the state of the loop's stateful
parts (optimiser, loss scaler ...) as tensors that are loaded with ``weights_only``, everything else
as JSON, and a manifest with the SHA-256 of each file, written last. The folder gets its name only
when all of it is on the disk. Loading (``restore.py``) takes the newest intact checkpoint, so a
damaged one costs only the work since the one before it.
"""

import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file

from trainables.atomic import sync_folder
from trainables.errors import CheckpointError
from trainables.training.loop import TrainingLoop
from trainables.training.state import LoopState

KEPT = 2
"""Checkpoints to keep: the newest, and one to fall back on."""

REQUIRED = {"model.safetensors", "parts.pt", "state.json"}
BEST = "best.safetensors"
MANIFEST_BYTES = 1 << 16
"""Upper limit for the size of a manifest."""


def save_checkpoint(folder: Path, key: str, loop: TrainingLoop) -> Path:
    """Save the state of ``loop`` under ``folder`` and remove all older checkpoints but one.

    Damaged checkpoints of later steps and half-written ones are removed too. ``folder`` and its
    parent are created.

    Returns:
        The checkpoint's folder.

    Raises:
        CheckpointError: the checkpoint cannot be written; existing ones are untouched.
    """
    target = folder / f"step-{loop.state.step:08d}"
    try:
        folder.parent.mkdir(exist_ok=True)
        folder.mkdir(exist_ok=True)
        for left_over in folder.glob(".writing-*"):
            _remove(left_over)
        temporary = Path(tempfile.mkdtemp(dir=folder, prefix=".writing-"))
        try:
            _write(temporary, key, loop)
            _remove(target)
            temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        sync_folder(folder)
    except torch.AcceleratorError:
        raise
    # Safetensors and torch raise errors of their own if a file cannot be written.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(f"{target}: cannot be written ({reason})") from error
    # An intact checkpoint of a later step belongs to another process running the same trial.
    intact = [p for p in checkpoints(folder) if _step(p) <= loop.state.step or _is_intact(p, key)]
    for old in set(checkpoints(folder)) - set(intact[:KEPT]):
        with suppress(OSError):
            _remove(old)
    return target


def checkpoints(folder: Path) -> list[Path]:
    """Checkpoint folders of a trial, newest first, intact or not; empty if unreadable."""
    try:
        paths = list(folder.iterdir())
    except OSError:
        return []
    named = [path for path in paths if re.fullmatch(r"step-[0-9]{8,15}", path.name)]
    return sorted(named, key=_step, reverse=True)


def verify(path: Path, key: str) -> set[str]:
    """Check that a checkpoint is intact and belongs to trial ``key``.

    Returns:
        Names of its files.

    Raises:
        CheckpointError: a file is missing or damaged, or the checkpoint is another trial's.
    """
    manifest = path / "manifest.json"
    try:
        if not manifest.is_file() or manifest.stat().st_size > MANIFEST_BYTES:
            raise ValueError("no manifest")
        content = json.loads(manifest.read_text(encoding="utf-8"))
        owner, sums = content["key"], dict(content["sha256"])
        if not REQUIRED <= set(sums) <= REQUIRED | {BEST}:
            raise ValueError("names other files")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: no whole checkpoint (manifest.json is missing or damaged); "
            "give the folder of another one"
        ) from error
    if owner != key:
        raise CheckpointError(
            f"{path}: a checkpoint of trial {str(owner)[:60]}, this one is {key}: "
            "resume with the configuration that it was made with"
        )
    for name, expected in sums.items():
        try:
            intact = (path / name).is_file() and _sha256(path / name) == expected
        except OSError:
            intact = False
        if not intact:
            raise CheckpointError(
                f"{path / name}: missing or damaged; give the folder of another one"
            )
    return set(sums)


def _is_intact(path: Path, key: str) -> bool:
    try:
        verify(path, key)
    except CheckpointError:
        return False
    return True


def _write(folder: Path, key: str, loop: TrainingLoop) -> None:
    """Write all files of a checkpoint and flush them to the disk."""
    weights = {name: t.contiguous() for name, t in loop.model.tensors().items()}
    save_file(weights, folder / "model.safetensors")
    if loop.best_weights is not None:
        save_file(loop.best_weights, folder / BEST)
    parts = {name: part.state_dict() for name, part in loop.stateful.items()}
    torch.save(parts, folder / "parts.pt")
    (folder / "state.json").write_text(json.dumps(_encode(loop.state)), encoding="utf-8")
    sums = {path.name: _sha256(path) for path in sorted(folder.iterdir())}
    manifest = {"key": key, "sha256": sums}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sync_folder(folder)


def _encode(state: LoopState) -> dict[str, object]:
    content = asdict(state)
    content["history"] = [epoch.model_dump(mode="json") for epoch in state.history]
    content["running"] = [confusion.tolist() for confusion in state.running]
    content["best_score"] = state.best_score if math.isfinite(state.best_score) else None
    return content


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove(path: Path) -> None:
    """Remove a folder, or a file or link of its name."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
