"""Loss weighting: how much each task's loss counts.

To add a method, write a ``Weighting`` in a file of its own and name it here and in
``WeightingConfig``.
"""

from trainables.config.arms import WeightingConfig
from trainables.strategies.base import TrainTask
from trainables.training.weighting.base import Weighting
from trainables.training.weighting.by_size import BySize
from trainables.training.weighting.dwa import DWA
from trainables.training.weighting.equal import Equal
from trainables.training.weighting.famo import FAMO
from trainables.training.weighting.fixed import Fixed
from trainables.training.weighting.gradnorm import GradNorm
from trainables.training.weighting.log_loss import LogLoss
from trainables.training.weighting.rlw import RandomLoss
from trainables.training.weighting.uncertainty import Uncertainty

__all__ = ["WEIGHTINGS", "Weighting", "make_weighting"]

WEIGHTINGS: dict[str, type[Weighting]] = {
    "equal": Equal,
    "fixed": Fixed,
    "by_size": BySize,
    "uncertainty": Uncertainty,
    "dwa": DWA,
    "random": RandomLoss,
    "gradnorm": GradNorm,
    "famo": FAMO,
    "log": LogLoss,
}


def make_weighting(config: WeightingConfig, tasks: list[TrainTask], seed: int) -> Weighting:
    """The weighting that ``config`` names; equal for one task, which is weighed against none.

    So with one task every method is single-task training, also those that rescale its loss.
    """
    kind = WEIGHTINGS[config.name] if len(tasks) > 1 else Equal
    return kind(config, tasks, seed)
