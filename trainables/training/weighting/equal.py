"""Equal weights."""

import numpy as np

from trainables.config.methods import PlainWeighting
from trainables.training.weighting.base import Weighting


class Equal(Weighting[PlainWeighting]):
    """Every example counts the same, whatever its task."""

    def weights(self, step: int, losses: np.ndarray) -> np.ndarray:
        """See ``Weighting.weights``."""
        return np.ones(len(self.tasks))
