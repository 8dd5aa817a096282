"""The multiple-gradient descent algorithm."""

from torch import Tensor
from torchjd.aggregation import MGDAWeighting


def mgda(gramian: Tensor) -> Tensor:
    """Weights of the rows, shape ``(tasks,)``, from their Gramian ``(tasks, tasks)``.

    Désidéri 2012, "Multiple-Gradient Descent Algorithm (MGDA) for Multiobjective Optimization"
    (https://doi.org/10.1016/j.crma.2012.03.014): the shortest vector among the rows' convex
    combinations, found by Frank-Wolfe as in Sener and Koltun 2018, "Multi-Task Learning as
    Multi-Objective Optimization" (https://arxiv.org/abs/1810.04650), Algorithm 2.

    >>> import torch
    >>> mgda(torch.diag(torch.tensor([1.0, 4.0], dtype=torch.float64))).round(decimals=1)
    tensor([0.8000, 0.2000], dtype=torch.float64)
    """
    return MGDAWeighting()(gramian)
