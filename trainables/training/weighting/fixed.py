"""Fixed weights from the configuration."""

import numpy as np

from trainables.config.methods import FixedWeighting
from trainables.training.weighting.base import Weighting


class Fixed(Weighting[FixedWeighting]):
    """The weights of the configuration; 1 for a task that it does not name.

    >>> from trainables.strategies.base import TrainTask
    >>> tasks = [TrainTask("a", 2, range(100)), TrainTask("b", 2, range(300))]
    >>> Fixed(FixedWeighting(weights={"b": 3.0}), tasks, 0).weights(0, np.ones(2))
    array([1., 3.])
    """

    def weights(self, step: int, losses: np.ndarray) -> np.ndarray:
        """See ``Weighting.weights``."""
        return np.array([self.config.weights.get(task.name, 1.0) for task in self.tasks])
