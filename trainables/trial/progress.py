"""Progress files: a running trial's state, written about once a second for the live views.

One small JSON file per trial, replaced atomically. Nothing depends on it: it is not flushed to the
disk, a trial continues if it cannot be written, and readers ignore a missing or damaged file.
"""

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from trainables.atomic import read_whole
from trainables.config.trial import TrialConfig
from trainables.errors import StorageError
from trainables.training.state import LoopState

if TYPE_CHECKING:
    from trainables.training.loop import TrainingLoop


PROGRESS_SECONDS = 1.0
"""Shortest time between two updates of a trial's progress file."""

Phase = Literal["preparing", "training", "evaluating"]


class Progress(TypedDict):
    """Progress of a trial.

    Attributes:
        epoch: passes over the training data so far, a fraction.
        epochs: passes over the training data in all.
        step: optimiser steps taken.
        total_steps: optimiser steps in all; 0 while the trial is being prepared.
        examples: training examples processed.
        loss: training loss of the last step; None before the first and if it is not finite.
        headline: latest headline metric, a fraction; None before the first evaluation.
        headline_name: the metric's name, or ``macro`` for the mean over several tasks.
        examples_per_second: training examples per second of training time.
        time: Unix time of the update.
        note: what is not going as planned, for a human; empty if all is well.
        rungs: intermediate results of a search trial: training examples, score and loss of each.
        phase: what the trial is doing.
    """

    epoch: float
    epochs: int
    step: int
    total_steps: int
    examples: int
    loss: float | None
    headline: float | None
    headline_name: str
    examples_per_second: float
    time: float
    note: str
    rungs: list[list[float]]
    phase: Phase


def progress_of(
    loop: "TrainingLoop | None", config: TrialConfig, note: str, phase: Phase = "training"
) -> Progress:
    """Progress of a trial from its loop; a trial that is still being prepared has none."""
    state = LoopState() if loop is None else loop.state
    total_steps = 0 if loop is None else loop.total_steps
    headline = None
    if loop is not None and state.history:
        last = state.history[-1].splits
        headline = loop.headline(last.get("selection") or last["validation"])
    names = list(config.tasks)
    return {
        "epoch": state.step * config.training.epochs / max(1, total_steps),
        "epochs": config.training.epochs,
        "step": state.step,
        "total_steps": total_steps,
        "examples": state.examples,
        "loss": loop.loss if loop is not None and math.isfinite(loop.loss) else None,
        "headline": headline,
        "headline_name": config.tasks[names[0]].headline if len(names) == 1 else "macro",
        "examples_per_second": state.examples / max(state.train_seconds, 1e-9),
        "time": time.time(),
        "note": note,
        "rungs": [list(rung) for rung in state.rungs],
        "phase": phase,
    }


_NUMBERS = (
    "epoch",
    "epochs",
    "step",
    "total_steps",
    "examples",
    "examples_per_second",
    "time",
)


def write_progress(path: Path, progress: Mapping[str, Any]) -> None:
    """Replace the file at ``path`` atomically; errors are ignored."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        temporary.write_text(json.dumps(dict(progress)), encoding="utf-8")
        temporary.replace(path)


class ProgressWriter:
    """Writes a trial's progress file, at most once in ``PROGRESS_SECONDS``.

    It is also called during evaluations, which may take long, so that the trial looks alive.

    Args:
        path: the progress file.
        progress: returns the trial's progress.
        check: raises ``StorageError`` if the run directory is gone.
        push: uploads the file if the run directory is in an object store.
    """

    def __init__(
        self,
        path: Path,
        progress: Callable[[Phase], Progress],
        check: Callable[[], None],
        push: Callable[[], None],
    ) -> None:
        self._path = path
        self._progress = progress
        self._check = check
        self._push = push
        self._last = -math.inf

    def __call__(self, phase: Phase) -> None:
        """Write the file if it is due; the first update in training always is."""
        now = time.monotonic()
        if now - self._last < PROGRESS_SECONDS:
            return
        self._last = -math.inf if phase == "preparing" else now
        with suppress(StorageError):
            self._check()
            write_progress(self._path, self._progress(phase))
            self._push()


def read_progress(path: Path) -> Progress | None:
    """Read a progress file; None if it is missing, damaged or of another format."""
    try:
        content = json.loads(read_whole(path))
    except (OSError, ValueError, RecursionError):
        return None
    return content if _is_progress(content) else None


def _is_progress(content: Any) -> bool:
    if not isinstance(content, dict):
        return False
    numbers = all(isinstance(content.get(name), int | float) for name in _NUMBERS)
    optional_numbers = all(
        isinstance(content.get(name, ""), int | float | None) for name in ("loss", "headline")
    )
    return numbers and optional_numbers and isinstance(content.get("headline_name"), str)
