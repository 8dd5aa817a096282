"""What a running trial says about itself, once a second or so, for whoever watches.

One small JSON file per trial, replaced whole. Nothing depends on it: it is not flushed to the disk,
a trial goes on where it cannot be written, and a reader takes a missing or damaged file as silence.
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
"""Least time between two words of a trial."""

Phase = Literal["preparing", "training", "evaluating"]


class Progress(TypedDict):
    """Where a trial stands.

    ``headline`` is the latest evaluation (a fraction; none before the first) and ``headline_name``
    says of what: a metric or ``macro``. ``loss`` is none before the first step and where it is not
    finite. ``phase`` is what the trial does. ``time`` is in Unix seconds. ``note`` is what does not
    go as planned, for a human; empty: nothing. ``rungs`` are the measurements of a search's trial
    so far: training examples, score and loss.
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
    """Where a trial stands; before it has a loop, at its beginning."""
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
    """Replace the file at ``path`` in one move; do nothing where that is impossible."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        temporary.write_text(json.dumps(dict(progress)), encoding="utf-8")
        temporary.replace(path)


class Reporter:
    """Leaves a trial's word for whoever watches, at most once in ``PROGRESS_SECONDS``.

    Also while it evaluates, which may take long, so that it is not taken for dead.

    Args:
        path: of the progress file.
        said: where the trial stands.
        check: raises ``StorageError`` where the run directory is gone.
        push: hands the file over where the run directory is an object store.
    """

    def __init__(
        self,
        path: Path,
        said: Callable[[Phase], Progress],
        check: Callable[[], None],
        push: Callable[[], None],
    ) -> None:
        self._path = path
        self._said = said
        self._check = check
        self._push = push
        self._last = -math.inf

    def __call__(self, phase: Phase) -> None:
        """Leave word if it is time; the first of training always is."""
        now = time.monotonic()
        if now - self._last < PROGRESS_SECONDS:
            return
        self._last = -math.inf if phase == "preparing" else now
        with suppress(StorageError):
            self._check()
            write_progress(self._path, self._said(phase))
            self._push()


def read_progress(path: Path) -> Progress | None:
    """Read what ``write_progress`` wrote; none where the file is missing, half or foreign."""
    try:
        content = json.loads(read_whole(path))
    except (OSError, ValueError, RecursionError):
        return None
    return content if _is_progress(content) else None


def _is_progress(content: Any) -> bool:
    if not isinstance(content, dict):
        return False
    numbers = all(isinstance(content.get(name), int | float) for name in _NUMBERS)
    perhaps = all(
        isinstance(content.get(name, ""), int | float | None) for name in ("loss", "headline")
    )
    return numbers and perhaps and isinstance(content.get("headline_name"), str)
