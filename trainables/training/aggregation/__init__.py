"""Gradient aggregation: how the tasks' gradients become the shared encoder's.

Most methods are torchjd's weightings of the gradients' Gramian; where those need CVXPY (and
Nash-MTL the solver ECOS, which is no longer maintained), the small problem is solved here. To add a
method, name it here and in ``AggregationConfig``.
"""

from collections.abc import Callable

from torch import Tensor, nn
from torchjd.aggregation import (
    AlignedMTLWeighting,
    IMTLGWeighting,
    MGDAWeighting,
    PCGradWeighting,
    RandomWeighting,
    UPGradWeighting,
)

from trainables.arms import AggregationConfig
from trainables.training.aggregation.base import Aggregation, Row
from trainables.training.aggregation.cagrad import CAGradWeighting
from trainables.training.aggregation.conflict_free import ConFIGWeighting
from trainables.training.aggregation.dual_cone import NonNegativeLeastSquares
from trainables.training.aggregation.graddrop import SignDropout
from trainables.training.aggregation.gramian import ByGramian
from trainables.training.aggregation.nash_mtl import NashMTLWeighting

__all__ = ["GRAMIAN", "Aggregation", "Row", "make_aggregation"]

GRAMIAN: dict[str, Callable[[AggregationConfig], Callable[[Tensor], Tensor]]] = {
    # Désidéri 2012, solved by Frank-Wolfe as in Sener and Koltun 2018, Algorithm 2.
    "mgda": lambda config: MGDAWeighting(),
    # Yu et al. 2020, Algorithm 1. The sum of its projected rows, as a mean.
    "pcgrad": lambda config: _mean(PCGradWeighting()),
    "cagrad": lambda config: CAGradWeighting(config.c),
    # Liu et al. 2021, "Towards Impartial Multi-task Learning", in torchjd's general form.
    "imtl_g": lambda config: IMTLGWeighting(),
    # Senushkin et al. 2023, Algorithm 1. In single precision, as the rows are: it drops the
    # directions that are 0 up to the precision of what it is given.
    "aligned_mtl": lambda config: lambda gramian: AlignedMTLWeighting()(gramian.float()).double(),
    # Quinton and Rey 2024, "Jacobian Descent for Multi-Objective Optimization", section 3.
    "upgrad": lambda config: UPGradWeighting(projector=NonNegativeLeastSquares()),
    "nash_mtl": lambda config: NashMTLWeighting(),
    "config": lambda config: ConFIGWeighting(),
    # Lin et al. 2021, Algorithm 2: random weights of gradients.
    "random": lambda config: RandomWeighting(),
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


def _mean(weighting: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """What ``weighting`` gives, over the number of rows."""
    return lambda gramian: weighting(gramian) / len(gramian)
