"""Impartial multi-task learning, its gradient part."""

from torch import Tensor
from torchjd.aggregation import IMTLGWeighting


def imtl_g(gramian: Tensor) -> Tensor:
    """Weights of the rows, shape ``(tasks,)``, from their Gramian ``(tasks, tasks)``.

    Liu et al. 2021, "Towards Impartial Multi-task Learning"
    (https://openreview.net/forum?id=IMPnRXEWpvr), section 3.1 (IMTL-G): the combination whose
    projections onto all rows are equally long, in torchjd's general form, which is defined for
    dependent rows too.

    >>> import torch
    >>> imtl_g(torch.diag(torch.tensor([1.0, 4.0], dtype=torch.float64)))
    tensor([0.6667, 0.3333], dtype=torch.float64)
    """
    return IMTLGWeighting()(gramian)
