"""Gradient aggregation: how the tasks' gradients become the shared encoder's.

Most methods are torchjd's weightings of the gradients' Gramian; where those need CVXPY (and
Nash-MTL the solver ECOS, which is no longer maintained), the small problem is solved here. To add a
method, write it in a file of its own, name it in ``GRAMIAN`` and give it settings in
``trainables/config/methods.py``.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from trainables.config.methods import AggregationConfig
from trainables.training.aggregation.aligned_mtl import aligned_mtl
from trainables.training.aggregation.base import Aggregation, Row
from trainables.training.aggregation.cagrad import CAGrad
from trainables.training.aggregation.config import ConFIG
from trainables.training.aggregation.graddrop import GradDrop
from trainables.training.aggregation.gramian import ByGramian, gramian
from trainables.training.aggregation.imtl_g import imtl_g
from trainables.training.aggregation.mgda import mgda
from trainables.training.aggregation.nash_mtl import NashMTL
from trainables.training.aggregation.pcgrad import pcgrad
from trainables.training.aggregation.random import random
from trainables.training.aggregation.upgrad import upgrad

__all__ = ["GRAMIAN", "Aggregation", "Row", "gramian", "make_aggregation"]

GRAMIAN: dict[str, Callable[[Any], Callable[[Tensor], Tensor]]] = {
    "mgda": lambda config: mgda,
    "pcgrad": lambda config: pcgrad,
    "cagrad": lambda config: CAGrad(config.c),
    "imtl_g": lambda config: imtl_g,
    "aligned_mtl": lambda config: aligned_mtl,
    "upgrad": lambda config: upgrad,
    "nash_mtl": lambda config: NashMTL(),
    "config": lambda config: ConFIG(),
    "random": lambda config: random,
}
"""Method -> from its settings to a function that weights the rows by their Gramian."""


def make_aggregation(
    config: AggregationConfig, parameters: list[nn.Parameter], tasks: int, seed: int
) -> Aggregation:
    """The aggregation method of ``config``; a plain sum for a single task.

    Args:
        config: the method and its settings.
        parameters: the shared parameters, whose gradients are combined.
        tasks: number of tasks.
        seed: the trial's seed.
    """
    if config.name == "sum" or tasks == 1:
        return Aggregation()
    if config.name == "graddrop":
        return GradDrop(parameters, seed)
    return ByGramian(parameters, seed, GRAMIAN[config.name](config))
