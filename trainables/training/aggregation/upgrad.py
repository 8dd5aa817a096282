"""Unconflicting projection of gradients."""

from torch import Tensor
from torchjd.aggregation import UPGradWeighting

from trainables.training.aggregation.dual_cone import NonNegativeLeastSquares


def upgrad(gramian: Tensor) -> Tensor:
    """Weights of the rows, shape ``(tasks,)``, from their Gramian ``(tasks, tasks)``.

    Quinton and Rey 2024, "Jacobian Descent for Multi-Objective Optimization", section 3 (UPGrad,
    https://arxiv.org/abs/2406.16232): the mean of the rows, each projected onto the cone of vectors
    that conflict with no row.

    >>> import torch
    >>> upgrad(torch.eye(2, dtype=torch.float64))
    tensor([0.5000, 0.5000], dtype=torch.float64)
    """
    return UPGradWeighting(projector=NonNegativeLeastSquares())(gramian)
