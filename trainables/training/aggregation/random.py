"""Random gradient weighting."""

from torch import Tensor
from torchjd.aggregation import RandomWeighting


def random(gramian: Tensor) -> Tensor:
    """Weights of the rows, shape ``(tasks,)``, whatever their Gramian ``(tasks, tasks)`` is.

    Lin et al. 2021, "Reasonable Effectiveness of Random Weighting: A Litmus Test for Multi-Task
    Learning" (https://arxiv.org/abs/2111.10603), Algorithm 2 (RGW): the baseline that a method that
    looks at the gradients has to beat.
    """
    return RandomWeighting()(gramian)
