"""Random loss weighting."""

import numpy as np
from scipy.special import softmax

from trainables.config.methods import PlainWeighting
from trainables.seeding import generator
from trainables.training.weighting.base import Weighting


class Random(Weighting[PlainWeighting]):
    """``w = K softmax(z)`` with K tasks and z drawn from a standard normal in every step.

    Lin et al. 2021, "Reasonable Effectiveness of Random Weighting: A Litmus Test for Multi-Task
    Learning" (https://arxiv.org/abs/2111.10603), section 3 (RLW, normal distribution): the baseline
    that a weighting has to beat.
    """

    def weights(self, step: int, losses: np.ndarray) -> np.ndarray:
        """See ``Weighting.weights``."""
        drawn = generator(self.seed, "weighting", step).standard_normal(len(self.tasks))
        return len(self.tasks) * softmax(drawn)
