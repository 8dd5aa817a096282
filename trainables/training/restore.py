"""Loads a checkpoint into a training loop, completely or not at all.

A checksum proves that a file is unchanged, not that this version of the code has written it. So
everything is read and compared with what the loop expects before the loop is changed.
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
    """Load the newest intact checkpoint of trial ``key`` into ``loop``.

    Returns:
        The checkpoint's folder, or None if there is no intact one.
    """
    for path in checkpoints(folder):
        try:
            load_checkpoint(path, key, loop)
        except CheckpointError:
            continue
        return path
    return None


def load_checkpoint(path: Path, key: str, loop: TrainingLoop) -> None:
    """Load one checkpoint into ``loop``.

    Raises:
        CheckpointError: it is damaged, incomplete or another trial's; ``loop`` is unchanged.
        Exception: memory ran out (see ``is_out_of_memory``), or the GPU failed.
    """
    names = verify(path, key)
    try:
        _load(path, BEST in names, loop)
    except (MemoryError, torch.AcceleratorError):
        raise
    except Exception as error:
        # Running out of memory does not mean that the files are damaged.
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
    _check_tensors(weights, loop)
    best = load_file(path / BEST) if has_best else None
    if best is not None:
        _check_tensors(best, loop)
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
        _check_optimizer(before["optimizer"], loop)
    except Exception:
        for name, part in stateful.items():
            part.load_state_dict(before[name])
        raise
    # Nothing below can fail.
    loop.model.load_state_dict(weights, strict=False)
    loop.state, loop.best_weights = state, best


def _check_tensors(weights: dict[str, torch.Tensor], loop: TrainingLoop) -> None:
    """Raise ValueError unless ``weights`` have the names, shapes and types of the loop's model."""
    expected = {name: (t.shape, t.dtype) for name, t in loop.model.tensors().items()}
    if {name: (t.shape, t.dtype) for name, t in weights.items()} != expected:
        raise ValueError("weights of another model")


def _check_optimizer(before: dict[str, Any], loop: TrainingLoop) -> None:
    """Raise ValueError if the loaded optimizer would fail, but only at its next step."""
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
    """The loop's state from the JSON content of a checkpoint.

    Raises:
        ValueError: a field is missing, of another type or out of range.
    """
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
