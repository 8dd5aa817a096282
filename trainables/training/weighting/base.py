"""What a loss weighting is."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from trainables.config.base import Settings
from trainables.config.methods import GradNormWeighting, LearnedWeighting
from trainables.strategies.base import TrainTask

TINY = 1e-8
"""Least loss by which anything is divided."""

Config = TypeVar("Config", bound=Settings)
LearnedConfig = TypeVar("LearnedConfig", bound=LearnedWeighting | GradNormWeighting)


class Weighting(ABC, Generic[Config]):
    """How much each task's loss counts in a step.

    A step's loss is the sum over its examples of their losses, each times its task's weight, over
    the number of examples: equal weights are 1. Whatever a weighting learns moves in ``update``
    and ``end_epoch`` alone, so a step's gradients can be computed again.

    Attributes:
        config: the method's settings.
        losses_first: the weights depend on the losses of the step that they are for; they are
            computed before, in a forward pass of their own.
        norms: ``update`` needs gradient norms.
    """

    losses_first = False
    norms = False

    def __init__(self, config: Config, tasks: list[TrainTask], seed: int) -> None:
        self.config = config
        self.tasks = tasks
        self.seed = seed

    @abstractmethod
    def weights(self, step: int, losses: np.ndarray) -> np.ndarray:
        """The tasks' weights, float64 of shape ``(tasks,)``.

        Args:
            step: the step that they are for, counted from 0.
            losses: mean losses of that step's tasks, shape ``(tasks,)``; NaN for a task that is
                not in it, and for all without ``losses_first``.
        """

    def update(
        self, losses: np.ndarray, norms: np.ndarray, after: Callable[[], np.ndarray]
    ) -> None:
        """Learn from a step that has been taken; every array has the shape ``(tasks,)``.

        Args:
            losses: mean losses before the step, unweighted; NaN for a task that was not in it.
            norms: norms of those losses' gradients in the last shared layer, NaN likewise.
            after: gives the mean losses of the same examples after the step, for the price of a
                forward pass.
        """
        return

    def end_epoch(self) -> None:
        """Learn from an epoch that is over."""
        return

    def state_dict(self) -> dict[str, Any]:
        """All that ``update`` and ``end_epoch`` change, as tensors, numbers and lists."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Take over what ``state_dict`` gave."""
        return


class Learned(Weighting[LearnedConfig]):
    """A weighting with one number per task that Adam moves at a rate of its own."""

    start = 0.0
    decay = 0.0

    def __init__(self, config: LearnedConfig, tasks: list[TrainTask], seed: int) -> None:
        super().__init__(config, tasks, seed)
        self._numbers = [
            torch.nn.Parameter(torch.tensor(self.start, dtype=torch.float64)) for _ in tasks
        ]
        self._optimizer = torch.optim.Adam(
            self._numbers, lr=config.learning_rate, weight_decay=self.decay
        )

    @property
    def numbers(self) -> np.ndarray:
        """What has been learned, float64 of shape ``(tasks,)``."""
        return np.array([number.item() for number in self._numbers])

    def _move(self, gradient: np.ndarray) -> None:
        """One step of Adam; a number whose gradient is NaN stays as it is."""
        for number, slope in zip(self._numbers, gradient, strict=True):
            finite = bool(np.isfinite(slope))
            number.grad = torch.tensor(slope, dtype=torch.float64) if finite else None
        self._optimizer.step()

    def _set(self, numbers: np.ndarray) -> None:
        for number, value in zip(self._numbers, numbers, strict=True):
            number.data.fill_(float(value))

    def state_dict(self) -> dict[str, Any]:
        """See ``Weighting.state_dict``."""
        return {"numbers": self.numbers.tolist(), "optimizer": self._optimizer.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """See ``Weighting.load_state_dict``."""
        self._set(np.array(state_dict["numbers"]))
        self._optimizer.load_state_dict(state_dict["optimizer"])
