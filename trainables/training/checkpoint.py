"""Checkpoints from which a trial goes on bit for bit.

A checkpoint is a folder ``step-00000123``: weights as safetensors, the state of the loop's stateful
parts (optimiser, loss scaler ...) as tensors that are loaded with ``weights_only``, everything else
as JSON, and a manifest with the SHA-256 of each file, written last. The folder takes its name only
when all of it is on the disk. Loading takes the newest checkpoint that is whole, so a damaged one
costs the work since the one before.
"""

import hashlib
import json
import math
import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from trainables.atomic import sync_folder
from trainables.errors import CheckpointError
from trainables.record import EpochResult
from trainables.training.loop import LoopState, TrainingLoop

KEPT = 2
"""Checkpoints that stay: the newest, and one to fall back on."""


def save_checkpoint(folder: Path, key: str, loop: TrainingLoop) -> Path:
    """Keep the state of ``loop`` under ``folder``; older checkpoints but one are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"step-{loop.state.step:08d}"
    temporary = Path(tempfile.mkdtemp(dir=folder, prefix=".writing-"))
    try:
        weights = {name: t.contiguous() for name, t in loop.model.state_dict().items()}
        save_file(weights, temporary / "model.safetensors")
        if loop.best_weights is not None:
            save_file(loop.best_weights, temporary / "best.safetensors")
        parts = {name: part.state_dict() for name, part in loop.stateful.items()}
        torch.save(parts, temporary / "parts.pt")
        (temporary / "state.json").write_text(json.dumps(_encode(loop.state)), encoding="utf-8")
        sums = {path.name: _sha256(path) for path in sorted(temporary.iterdir())}
        manifest = {"key": key, "sha256": sums}
        (temporary / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        for path in temporary.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(temporary)
        if target.exists():
            shutil.rmtree(target)
        temporary.rename(target)
        sync_folder(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for old in checkpoints(folder)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def checkpoints(folder: Path) -> list[Path]:
    """Checkpoints of a trial, the newest first, whole or not."""
    return sorted(folder.glob("step-*"), reverse=True)


def load_newest(folder: Path, key: str, loop: TrainingLoop) -> Path | None:
    """Put the newest whole checkpoint of trial ``key`` into ``loop``; none: there is none."""
    for path in checkpoints(folder):
        try:
            load_checkpoint(path, key, loop)
        except CheckpointError:
            continue
        return path
    return None


def load_checkpoint(path: Path, key: str, loop: TrainingLoop) -> None:
    """Put one checkpoint into ``loop``.

    Raises:
        CheckpointError: it is damaged, incomplete or another trial's; ``loop`` is untouched.
    """
    verify(path, key)
    content = json.loads((path / "state.json").read_text(encoding="utf-8"))
    parts = torch.load(path / "parts.pt", map_location=loop.device, weights_only=True)
    loop.model.load_state_dict(load_file(path / "model.safetensors", device=str(loop.device)))
    for name, part in loop.stateful.items():
        part.load_state_dict(parts[name])
    loop.state = _decode(content)
    best = path / "best.safetensors"
    loop.best_weights = load_file(best) if best.is_file() else None


def verify(path: Path, key: str) -> None:
    """Check that a checkpoint is whole and belongs to trial ``key``.

    Raises:
        CheckpointError: otherwise, naming the file.
    """
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        owner, sums = manifest["key"], dict(manifest["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: no whole checkpoint (manifest.json is missing or damaged); "
            "give the folder of another one"
        ) from error
    if owner != key:
        raise CheckpointError(
            f"{path}: a checkpoint of trial {owner}, this one is {key}: "
            "resume with the configuration that it was made with"
        )
    for name, expected in sums.items():
        file = path / Path(name).name
        if not file.is_file() or _sha256(file) != expected:
            raise CheckpointError(f"{file}: missing or damaged; give the folder of another one")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _encode(state: LoopState) -> dict[str, object]:
    content = asdict(state)
    content["history"] = [epoch.model_dump(mode="json") for epoch in state.history]
    content["running"] = [confusion.tolist() for confusion in state.running]
    content["best_score"] = state.best_score if math.isfinite(state.best_score) else None
    return content


def _decode(content: dict) -> LoopState:
    return LoopState(
        **{
            **content,
            "history": [EpochResult.model_validate(epoch) for epoch in content["history"]],
            "running": [np.array(confusion, dtype=np.int64) for confusion in content["running"]],
            "best_score": -math.inf if content["best_score"] is None else content["best_score"],
        }
    )
