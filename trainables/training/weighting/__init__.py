"""Loss weighting: how much each task's loss counts.

To add a method, write a ``Weighting`` in a file of its own, name it in ``WEIGHTINGS`` and give it a
settings class in ``trainables/config/methods.py``.
"""

from typing import Any

from trainables.config.methods import PlainWeighting, WeightingConfig
from trainables.strategies.base import TrainTask
from trainables.training.weighting.base import Weighting
from trainables.training.weighting.by_size import BySize
from trainables.training.weighting.dwa import DWA
from trainables.training.weighting.equal import Equal
from trainables.training.weighting.famo import FAMO
from trainables.training.weighting.fixed import Fixed
from trainables.training.weighting.gradnorm import GradNorm
from trainables.training.weighting.log import Log
from trainables.training.weighting.random import Random
from trainables.training.weighting.uncertainty import Uncertainty

__all__ = ["WEIGHTINGS", "Weighting", "make_weighting"]

WEIGHTINGS: dict[str, type[Weighting[Any]]] = {
    "equal": Equal,
    "fixed": Fixed,
    "by_size": BySize,
    "uncertainty": Uncertainty,
    "dwa": DWA,
    "random": Random,
    "gradnorm": GradNorm,
    "famo": FAMO,
    "log": Log,
}
"""Weighting methods by their names in the configuration."""


def make_weighting(config: WeightingConfig, tasks: list[TrainTask], seed: int) -> Weighting[Any]:
    """The weighting method of ``config``; equal weights for a single task.

    With one task there is nothing to weigh, so every method is then plain single-task training,
    also those that would rescale the loss.
    """
    if len(tasks) == 1:
        return Equal(PlainWeighting(), tasks, seed)
    return WEIGHTINGS[config.name](config, tasks, seed)
