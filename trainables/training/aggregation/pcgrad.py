"""Projecting conflicting gradients."""

from torch import Tensor
from torchjd.aggregation import PCGradWeighting


def pcgrad(gramian: Tensor) -> Tensor:
    """Weights of the rows, shape ``(tasks,)``, from their Gramian ``(tasks, tasks)``.

    Yu et al. 2020, "Gradient Surgery for Multi-Task Learning", Algorithm 1: each row loses, in a
    random order of the others, what works against them; the sum of the rows that are left is
    divided by their number, as the other methods' results have the scale of a mean.
    """
    return PCGradWeighting()(gramian) / len(gramian)
