"""Weighting by learned uncertainty."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from trainables.config.methods import LearnedWeighting
from trainables.training.weighting.base import Learned


class Uncertainty(Learned[LearnedWeighting]):
    """``w = exp(-s)`` with a learned log variance ``s`` per task, which starts at 0.

    Kendall, Gal and Cipolla 2018, "Multi-Task Learning Using Uncertainty to Weigh Losses"
    (https://arxiv.org/abs/1705.07115), equation 10: a classification loss L enters as ``exp(-s) L +
    s / 2`` and, by equation 7, a squared error as ``exp(-s) L / 2 + s / 2``, with half the weight.
    The paper trains s with the network's optimiser; at a fine-tuning rate it would hardly move, so
    here it has its own.
    """

    def weights(self, step: int, losses: np.ndarray) -> np.ndarray:
        """See ``Weighting.weights``."""
        return self._share * np.exp(-self.numbers)

    def update(
        self, losses: np.ndarray, norms: np.ndarray, after: Callable[[], np.ndarray]
    ) -> None:
        """See ``Weighting.update``."""
        self._move(0.5 - self._share * np.exp(-self.numbers) * losses)

    @cached_property
    def _share(self) -> np.ndarray:
        """What each loss is multiplied by besides its variance, shape ``(tasks,)``."""
        return np.array([0.5 if task.regression else 1.0 for task in self.tasks])
