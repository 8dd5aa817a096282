"""Weights that the configuration gives."""

import numpy as np

from trainables.training.weighting.base import Weighting


class Fixed(Weighting):
    """The weights that the configuration gives; 1 for a task that it does not name."""

    def weights(self, step: int, losses: np.ndarray) -> np.ndarray:
        """See ``Weighting.weights``."""
        return np.array([self.config.weights.get(task.name, 1.0) for task in self.tasks])
