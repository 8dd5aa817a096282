"""What moves while a trial trains; what a checkpoint lacked of it would be lost."""

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from trainables.results.record import EpochResult


@dataclass
class LoopState:
    """All that moves while a trial trains, besides weights and the ``Stateful`` parts.

    ``rungs`` are the measurements of a search's trial: training examples, headline and loss on
    selection. ``inherited`` of the examples and ``inherited_seconds`` of ``train_seconds`` are
    those of the trial that this one goes on from.
    """

    step: int = 0
    examples: int = 0
    train_seconds: float = 0.0
    eval_seconds: float = 0.0
    history: list[EpochResult] = field(default_factory=list)
    loss_sum: float = 0.0
    loss_steps: int = 0
    running: list[np.ndarray] = field(default_factory=list)
    best_score: float = -math.inf
    best_epoch: int = 0
    epochs_without_gain: int = 0
    stopped_early: bool = False
    interruptions: int = 0
    rungs: list[list[float]] = field(default_factory=list)
    inherited: int = 0
    inherited_seconds: float = 0.0


class Stateful(Protocol):
    """A part of the loop whose state moves with training and is not in the model's weights."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers, texts, and lists and dictionaries of them."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Take over what ``state_dict`` gave.

        Raises:
            Exception: any, where that is impossible.
        """
        ...
