"""Dynamic weight average."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import softmax

from trainables.config.methods import DwaWeighting
from trainables.training.weighting.base import TINY, Weighting


class DWA(Weighting[DwaWeighting]):
    """``w = K softmax(r / T)``, r the ratio of a task's mean losses in the last two epochs.

    Liu, Johns and Davison 2019, "End-to-End Multi-Task Learning with Attention"
    (https://arxiv.org/abs/1803.10704), equation 7, with K tasks and T = 2: a task whose loss falls
    slowly counts more. Until two epochs are over, and while a task was in no step of one of them, r
    is 1.

    >>> from trainables.strategies.base import TrainTask
    >>> tasks = [TrainTask("a", 2, range(100)), TrainTask("b", 2, range(300))]
    >>> dwa = DWA(DwaWeighting(temperature=0.5), tasks, 0)
    >>> for losses in ([1.0, 1.0], [1.0, 0.5]):  # The loss of "b" falls.
    ...     dwa.update(np.array(losses), np.ones(2), lambda: np.ones(2))
    ...     dwa.end_epoch()
    >>> dwa.weights(2, np.ones(2)).round(2)
    array([1.46, 0.54])
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._sums = np.zeros(len(self.tasks))
        self._steps = np.zeros(len(self.tasks))
        self._epochs: list[np.ndarray] = []

    def weights(self, step: int, losses: np.ndarray) -> np.ndarray:
        """See ``Weighting.weights``."""
        ratios = np.ones(len(self.tasks))
        if len(self._epochs) == 2:
            older, newer = (np.maximum(mean, TINY) for mean in self._epochs)
            ratios = np.nan_to_num(newer / older, nan=1.0)
        return len(self.tasks) * softmax(ratios / self.config.temperature)

    def update(
        self, losses: np.ndarray, norms: np.ndarray, after: Callable[[], np.ndarray]
    ) -> None:
        """See ``Weighting.update``."""
        self._sums += np.nan_to_num(losses)
        self._steps += np.isfinite(losses)

    def end_epoch(self) -> None:
        """See ``Weighting.end_epoch``."""
        means = np.full(len(self.tasks), np.nan)
        np.divide(self._sums, self._steps, out=means, where=self._steps > 0)
        self._epochs = [*self._epochs, means][-2:]
        self._sums, self._steps = np.zeros_like(means), np.zeros_like(means)

    def state_dict(self) -> dict[str, Any]:
        """See ``Weighting.state_dict``."""
        return {
            "sums": self._sums.tolist(),
            "steps": self._steps.tolist(),
            "epochs": [mean.tolist() for mean in self._epochs],
        }

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """See ``Weighting.load_state_dict``."""
        self._sums = np.array(state_dict["sums"])
        self._steps = np.array(state_dict["steps"])
        self._epochs = [np.array(mean) for mean in state_dict["epochs"]]
