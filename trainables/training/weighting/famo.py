"""Fast adaptive multitask optimisation."""

from collections.abc import Callable

import numpy as np
from scipy.special import softmax

from trainables.config.methods import LearnedWeighting
from trainables.training.weighting.base import TINY, Learned


class FAMO(Learned[LearnedWeighting]):
    """Weights under which all tasks' losses fall at the same relative rate.

    Liu et al. 2023, "FAMO: Fast Adaptive Multitask Optimization"
    (https://arxiv.org/abs/2306.03792), Algorithm 1: with ``z = softmax(xi)`` a step descends on ``c
    sum z log L``, that is ``w ~ z / L`` (here with mean 1), and xi then on how much more the log of
    a task's loss fell in that step than the others'. It costs a forward pass before the step, for
    L, and one after it.
    """

    losses_first = True
    decay = 1e-3  # The paper's gamma.

    def weights(self, step: int, losses: np.ndarray) -> np.ndarray:
        """See ``Weighting.weights``."""
        weights = softmax(self.numbers) / np.maximum(losses, TINY)
        return weights / weights.mean()

    def update(
        self, losses: np.ndarray, norms: np.ndarray, after: Callable[[], np.ndarray]
    ) -> None:
        """See ``Weighting.update``."""
        gains = np.log(np.maximum(losses, TINY)) - np.log(np.maximum(after(), TINY))
        shares = softmax(self.numbers)
        self._move(shares * (gains - shares @ gains))
