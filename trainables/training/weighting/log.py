"""The scale-invariant loss."""

import numpy as np

from trainables.config.methods import PlainWeighting
from trainables.training.weighting.base import TINY, Weighting


class Log(Weighting[PlainWeighting]):
    """Descends on the logs of the tasks' losses: ``w = 1 / L``.

    The geometric mean of the losses in place of the arithmetic one (Chennupati et al. 2019,
    "MultiNet++: Multi-Stream Feature Aggregation and Geometric Loss Strategy for Multi-Task
    Learning", https://arxiv.org/abs/1904.08492, equation 4): a loss counts by its relative, not its
    absolute, change. It costs a forward pass before the step, for L.

    >>> from trainables.strategies.base import TrainTask
    >>> tasks = [TrainTask("a", 2, range(100)), TrainTask("b", 2, range(300))]
    >>> Log(PlainWeighting(name="log"), tasks, 0).weights(0, np.array([0.5, 2.0]))
    array([2. , 0.5])
    """

    losses_first = True

    def weights(self, step: int, losses: np.ndarray) -> np.ndarray:
        """See ``Weighting.weights``; 1 for a task that is not in the step."""
        return np.nan_to_num(1 / np.maximum(losses, TINY), nan=1.0)
