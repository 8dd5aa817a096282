"""Gradient normalisation."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from trainables.config.methods import GradNormWeighting
from trainables.training.weighting.base import Learned

LEAST = 1e-3
"""Least weight; the paper leaves open what becomes of one that reaches 0."""


class GradNorm(Learned[GradNormWeighting]):
    """Weights under which every task trains at a similar rate.

    Chen et al. 2018, "GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep
    Multitask Networks" (https://arxiv.org/abs/1711.02257), Algorithm 1: with ``G = w |gradient of
    L|`` in the last shared layer and the relative inverse training rate ``r = (L / L(0)) / mean``,
    the weights descend on ``sum |G - mean(G) r ** alpha|``, the target taken as constant, and are
    scaled to mean 1. For L(0) stands the theoretical ``log C`` of C classes, as section 3.2 advises
    where first losses depend on chance, and for a regression the variance of its targets, the loss
    of predicting their mean. The last shared layer is here the encoder's last layer.
    """

    norms = True
    start = 1.0

    @cached_property
    def first_losses(self) -> np.ndarray:
        """L(0) of each task, shape ``(tasks,)``."""
        return np.array(
            [
                np.var(task.train.labels) if task.regression else np.log(task.classes)
                for task in self.tasks
            ]
        )

    def weights(self, step: int, losses: np.ndarray) -> np.ndarray:
        """See ``Weighting.weights``."""
        return self.numbers

    def update(
        self, losses: np.ndarray, norms: np.ndarray, after: Callable[[], np.ndarray]
    ) -> None:
        """See ``Weighting.update``."""
        if not np.isfinite(norms).all():
            return  # fp16 overflowed, and the step was not taken.
        rates = losses / self.first_losses
        relative = rates / rates.mean() if rates.mean() > 0 else np.ones_like(rates)
        scaled = self.numbers * norms
        target = scaled.mean() * relative**self.config.alpha
        self._move(np.sign(scaled - target) * norms)
        numbers = np.maximum(self.numbers, LEAST)
        self._set(numbers / numbers.mean())
