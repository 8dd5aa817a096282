"""Weights that stay: equal, given, or by the tasks' sizes."""

import numpy as np

from trainables.training.weighting.base import Weighting


class Equal(Weighting):
    """Every example counts the same."""

    def weights(self, step: int, losses: np.ndarray) -> np.ndarray:
        """See ``Weighting.weights``."""
        return np.ones(len(self.tasks))


class Fixed(Weighting):
    """The weights that the configuration gives; 1 for a task that it does not name."""

    def weights(self, step: int, losses: np.ndarray) -> np.ndarray:
        """See ``Weighting.weights``."""
        return np.array([self.config.weights.get(task.name, 1.0) for task in self.tasks])


class BySize(Weighting):
    """``w(task) ~ examples ** power`` with mean 1; a power below 0 favours small tasks."""

    def weights(self, step: int, losses: np.ndarray) -> np.ndarray:
        """See ``Weighting.weights``."""
        sizes = np.array([len(task.train) for task in self.tasks], dtype=np.float64)
        weights = sizes**self.config.power
        return weights / weights.mean()
