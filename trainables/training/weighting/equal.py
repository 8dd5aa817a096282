"""Equal weights."""

import numpy as np

from trainables.training.weighting.base import Weighting


class Equal(Weighting):
    """Every example counts the same."""

    def weights(self, step: int, losses: np.ndarray) -> np.ndarray:
        """See ``Weighting.weights``."""
        return np.ones(len(self.tasks))
