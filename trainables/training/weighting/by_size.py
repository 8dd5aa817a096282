"""Weights by the tasks' sizes."""

import numpy as np

from trainables.training.weighting.base import Weighting


class BySize(Weighting):
    """``w(task) ~ examples ** power`` with mean 1; a power below 0 favours small tasks."""

    def weights(self, step: int, losses: np.ndarray) -> np.ndarray:
        """See ``Weighting.weights``."""
        sizes = np.array([len(task.train) for task in self.tasks], dtype=np.float64)
        weights = sizes**self.config.power
        return weights / weights.mean()
