"""Impartial multi-task learning, its gradient part."""

from torch import Tensor
from torchjd.aggregation import IMTLGWeighting


def imtl_g(gramian: Tensor) -> Tensor:
    """Weights of the rows, shape ``(tasks,)``, from their Gramian ``(tasks, tasks)``.

    Liu et al. 2021, "Towards Impartial Multi-task Learning", section 3.1 (IMTL-G): the combination
    whose projections onto all rows are equally long, in torchjd's general form, which is defined
    for dependent rows too.
    """
    return IMTLGWeighting()(gramian)
