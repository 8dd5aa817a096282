"""Projecting conflicting gradients."""

from torch import Tensor
from torchjd.aggregation import PCGradWeighting


def pcgrad(gramian: Tensor) -> Tensor:
    """Weights of the rows, shape ``(tasks,)``, from their Gramian ``(tasks, tasks)``.

    Yu et al. 2020, "Gradient Surgery for Multi-Task Learning" (https://arxiv.org/abs/2001.06782),
    Algorithm 1: each row loses, in a random order of the others, what works against them; the sum
    of the rows that are left is divided by their number, as the other methods' results have the
    scale of a mean.

    >>> import torch
    >>> pcgrad(torch.eye(2, dtype=torch.float64))  # Orthogonal rows do not conflict.
    tensor([0.5000, 0.5000], dtype=torch.float64)
    """
    return PCGradWeighting()(gramian) / len(gramian)
