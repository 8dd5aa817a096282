"""Aligned gradients."""

from torch import Tensor
from torchjd.aggregation import AlignedMTLWeighting


def aligned_mtl(gramian: Tensor) -> Tensor:
    """Weights of the rows, shape ``(tasks,)``, from their Gramian ``(tasks, tasks)``.

    Senushkin et al. 2023, "Independent Component Alignment for Multi-Task Learning"
    (https://arxiv.org/abs/2305.19000), Algorithm 1: the rows become orthogonal and equally long
    before they are averaged. In single precision, as the rows are: it drops the directions that are
    0 up to the precision of what it is given.

    >>> import torch
    >>> aligned_mtl(torch.eye(2, dtype=torch.float64))
    tensor([0.5000, 0.5000], dtype=torch.float64)
    """
    return AlignedMTLWeighting()(gramian.float()).double()
