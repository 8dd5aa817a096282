"""Weights by the tasks' sizes."""

import numpy as np

from trainables.config.methods import BySizeWeighting
from trainables.training.weighting.base import Weighting


class BySize(Weighting[BySizeWeighting]):
    """Weights proportional to ``examples ** power``, with mean 1.

    A power below 0 favours small tasks.

    >>> from trainables.strategies.base import TrainTask
    >>> tasks = [TrainTask("a", 2, range(100)), TrainTask("b", 2, range(300))]
    >>> BySize(BySizeWeighting(power=1.0), tasks, 0).weights(0, np.ones(2))
    array([0.5, 1.5])
    """

    def weights(self, step: int, losses: np.ndarray) -> np.ndarray:
        """See ``Weighting.weights``."""
        sizes = np.array([len(task.train) for task in self.tasks], dtype=np.float64)
        weights = sizes**self.config.power
        return weights / weights.mean()
