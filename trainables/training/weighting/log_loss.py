"""The scale-invariant loss."""

import numpy as np

from trainables.training.weighting.base import TINY, Weighting


class LogLoss(Weighting):
    """Descends on the logs of the tasks' losses: ``w = 1 / L``.

    The geometric mean of the losses in place of the arithmetic one (Chennupati et al. 2019,
    "MultiNet++: Multi-Stream Feature Aggregation and Geometric Loss Strategy for Multi-Task
    Learning", equation 4): a loss counts by its relative, not its absolute, change. It costs a
    forward pass before the step, for L.
    """

    losses_first = True

    def weights(self, step: int, losses: np.ndarray) -> np.ndarray:
        """See ``Weighting.weights``; 1 for a task that is not in the step."""
        return np.nan_to_num(1 / np.maximum(losses, TINY), nan=1.0)
