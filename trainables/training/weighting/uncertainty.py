"""Weighting by learned uncertainty."""

from collections.abc import Callable

import numpy as np

from trainables.config.methods import LearnedWeighting
from trainables.training.weighting.base import Learned


class Uncertainty(Learned[LearnedWeighting]):
    """``w = exp(-s)`` with a learned log variance ``s`` per task, which starts at 0.

    Kendall, Gal and Cipolla 2018, "Multi-Task Learning Using Uncertainty to Weigh Losses"
    (https://arxiv.org/abs/1705.07115), equation 10: a classification loss L enters as ``exp(-s) L +
    s / 2``. The paper trains s with the network's optimiser; at a fine-tuning rate it would hardly
    move, so here it has its own.
    """

    def weights(self, step: int, losses: np.ndarray) -> np.ndarray:
        """See ``Weighting.weights``."""
        return np.exp(-self.numbers)

    def update(
        self, losses: np.ndarray, norms: np.ndarray, after: Callable[[], np.ndarray]
    ) -> None:
        """See ``Weighting.update``."""
        self._move(0.5 - np.exp(-self.numbers) * losses)
