"""Puts a checkpoint into a training loop, wholly or not at all.

Checksums say that a file is as it was written, not that it is what this version of the code writes:
everything is read and compared with what the loop expects before the loop is touched.
"""

import copy
import json
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from trainables.errors import CheckpointError
from trainables.results.record import EpochResult
from trainables.training.checkpoint import BEST, checkpoints, verify
from trainables.training.loop import TrainingLoop
from trainables.training.memory import is_out_of_memory
from trainables.training.state import LoopState


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
    names = verify(path, key)
    try:
        _load(path, BEST in names, loop)
    except (MemoryError, torch.AcceleratorError):
        raise
    except Exception as error:
        # Too little memory says nothing about the files: they are not to be passed over for it.
        if is_out_of_memory(error):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise CheckpointError(
            f"{path}: made by another version, or damaged ({reason}); "
            "give the folder of another one"
        ) from error


def _load(path: Path, has_best: bool, loop: TrainingLoop) -> None:
    state = _decode(json.loads((path / "state.json").read_text(encoding="utf-8")), loop)
    weights = load_file(path / "model.safetensors", device=str(loop.device))
    _same_tensors(weights, loop)
    best = load_file(path / BEST) if has_best else None
    if best is not None:
        _same_tensors(best, loop)
    elif loop.training.keep == "best" and state.best_epoch:
        raise ValueError("lacks the weights of the best epoch")
    parts = torch.load(path / "parts.pt", map_location=loop.device, weights_only=True)
    stateful = loop.stateful
    if set(parts) != set(stateful):
        raise ValueError(f"has the parts {sorted(parts)}, not {sorted(stateful)}")
    before = {name: copy.deepcopy(part.state_dict()) for name, part in stateful.items()}
    try:
        for name, part in stateful.items():
            part.load_state_dict(parts[name])
        _same_optimizer(before["optimizer"], loop)
    except Exception:
        for name, part in stateful.items():
            part.load_state_dict(before[name])
        raise
    # Nothing below can fail.
    loop.model.load_state_dict(weights)
    loop.state, loop.best_weights = state, best


def _same_tensors(weights: dict[str, torch.Tensor], loop: TrainingLoop) -> None:
    """Raise ValueError where ``weights`` are not those of the loop's model."""
    expected = {name: (t.shape, t.dtype) for name, t in loop.model.state_dict().items()}
    if {name: (t.shape, t.dtype) for name, t in weights.items()} != expected:
        raise ValueError("weights of another model")


def _same_optimizer(before: dict[str, Any], loop: TrainingLoop) -> None:
    """Raise ValueError where the optimizer would fail at its next step only."""
    groups = loop.optimizer.param_groups
    for old, new in zip(before["param_groups"], groups, strict=True):
        if {name: type(value) for name, value in old.items()} != {
            name: type(value) for name, value in new.items()
        }:
            raise ValueError("settings of another optimizer")
    for group in groups:
        for parameter in group["params"]:
            moments = loop.optimizer.state.get(parameter, {})
            if any(m.shape not in (parameter.shape, torch.Size([])) for m in moments.values()):
                raise ValueError("moments of another model")


def _decode(content: Any, loop: TrainingLoop) -> LoopState:
    state = LoopState(
        **{
            **content,
            "history": [EpochResult.model_validate(epoch) for epoch in content["history"]],
            "running": [np.array(confusion, dtype=np.int64) for confusion in content["running"]],
            "best_score": -math.inf if content["best_score"] is None else content["best_score"],
        }
    )
    fresh = LoopState()
    for field in fields(LoopState):
        kind = type(getattr(fresh, field.name))
        value = getattr(state, field.name)
        if field.name not in content or type(value) not in (kind, int if kind is float else kind):
            raise ValueError(f"state.json: {field.name}")
    shapes = [confusion.shape for confusion in loop.state.running]
    if [confusion.shape for confusion in state.running] != shapes:
        raise ValueError("state.json: running")
    if not 0 <= state.step <= loop.total_steps or state.best_epoch > len(state.history):
        raise ValueError("state.json: step")
    return state
