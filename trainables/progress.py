"""What a running trial says about itself, once a second or so, for whoever watches.

One small JSON file per trial, replaced whole. Nothing depends on it: it is not flushed to the disk,
a trial goes on where it cannot be written, and a reader takes a missing or damaged file as silence.
"""

import json
import math
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from trainables.atomic import read_whole
from trainables.config import TrialConfig
from trainables.training.state import LoopState

if TYPE_CHECKING:
    from trainables.training.loop import TrainingLoop


class Progress(TypedDict):
    """Where a trial stands.

    ``headline`` is the latest evaluation (a fraction; none before the first) and ``headline_name``
    says of what: a metric or ``macro``. ``loss`` is none where it is not finite. ``time`` is in
    Unix seconds. ``note`` is what does not go as planned, for a human; empty: nothing. ``rungs``
    are the measurements of a search's trial so far: training examples, score and loss.
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


def progress_of(loop: "TrainingLoop | None", config: TrialConfig, note: str) -> Progress:
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
    }


_NUMBERS = (
    "epoch",
    "epochs",
    "step",
    "total_steps",
    "examples",
    "loss",
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
    headline = isinstance(content.get("headline", ""), int | float | None)
    return numbers and headline and isinstance(content.get("headline_name"), str)
