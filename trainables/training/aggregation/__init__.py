"""Gradient aggregation: how the tasks' gradients become the shared encoder's.

Most methods are torchjd's weightings of the gradients' Gramian; where those need CVXPY (and
Nash-MTL the solver ECOS, which is no longer maintained), the small problem is solved here. To add a
method, write it in a file of its own and name it here and in ``AggregationConfig``.
"""

from collections.abc import Callable

from torch import Tensor, nn

from trainables.config.arms import AggregationConfig
from trainables.training.aggregation.aligned_mtl import aligned_mtl
from trainables.training.aggregation.base import Aggregation, Row
from trainables.training.aggregation.cagrad import CAGradWeighting
from trainables.training.aggregation.conflict_free import ConFIGWeighting
from trainables.training.aggregation.graddrop import SignDropout
from trainables.training.aggregation.gramian import ByGramian
from trainables.training.aggregation.imtl_g import imtl_g
from trainables.training.aggregation.mgda import mgda
from trainables.training.aggregation.nash_mtl import NashMTLWeighting
from trainables.training.aggregation.pcgrad import pcgrad
from trainables.training.aggregation.random import random
from trainables.training.aggregation.upgrad import upgrad

__all__ = ["GRAMIAN", "Aggregation", "Row", "make_aggregation"]

GRAMIAN: dict[str, Callable[[AggregationConfig], Callable[[Tensor], Tensor]]] = {
    "mgda": lambda config: mgda,
    "pcgrad": lambda config: pcgrad,
    "cagrad": lambda config: CAGradWeighting(config.c),
    "imtl_g": lambda config: imtl_g,
    "aligned_mtl": lambda config: aligned_mtl,
    "upgrad": lambda config: upgrad,
    "nash_mtl": lambda config: NashMTLWeighting(),
    "config": lambda config: ConFIGWeighting(),
    "random": lambda config: random,
}
"""Methods that weigh the rows by their Gramian."""


def make_aggregation(
    config: AggregationConfig, parameters: list[nn.Parameter], tasks: int, seed: int
) -> Aggregation:
    """The aggregation that ``config`` names; a plain sum for one task.

    Args:
        config: names the method.
        parameters: the shared ones, on which the method works.
        tasks: number of tasks.
        seed: the trial's.
    """
    if config.name == "sum" or tasks == 1:
        return Aggregation()
    if config.name == "graddrop":
        return SignDropout(parameters, seed)
    return ByGramian(parameters, seed, GRAMIAN[config.name](config))
