"""The state of the training loop that a checkpoint has to save."""

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from trainables.results.record import EpochResult


@dataclass
class LoopState:
    """Counters and results of a trial so far; the weights and ``Stateful`` parts are separate.

    A checkpoint holds it as JSON under these names.

    Attributes:
        step: optimiser steps taken.
        examples: training examples processed.
        train_seconds: time in training steps.
        eval_seconds: time in evaluations.
        history: results of the finished epochs.
        loss_sum: sum of the training losses of the current epoch's steps.
        loss_steps: how many steps are in ``loss_sum``.
        running: confusion matrix of each task's training predictions in the current epoch, shape
            ``(classes, classes + 1)``, or moments ``(6,)`` of a regression.
        best_score: best headline metric on the selection split so far.
        best_epoch: the epoch of ``best_score``; 0 before the first.
        epochs_without_gain: epochs since ``best_epoch``.
        stopped_early: whether early stopping ended the training.
        interruptions: how many times training was resumed from a checkpoint.
        rungs: intermediate results of a search trial: training examples, headline metric and loss
            on the selection split.
        inherited: how many of ``examples`` an earlier segment trained on.
        inherited_seconds: how much of ``train_seconds`` an earlier segment took.
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
    """A part of the loop that changes during training and is not among the model's weights."""

    def state_dict(self) -> dict[str, Any]:
        """The state as tensors, numbers, strings, and lists and dictionaries of them."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Restore what ``state_dict`` returned.

        Raises:
            Exception: of any type, if the state does not fit.
        """
        ...
