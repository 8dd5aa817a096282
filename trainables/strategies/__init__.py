"""The strategies: how a model is trained over the tasks."""

from trainables.config.arms import NaiveConcatArm, SharedEncoderArm, SingleTaskArm
from trainables.config.trial import TrainingConfig
from trainables.strategies.base import Part, Step, Strategy, TrainTask
from trainables.strategies.naive_concat import NaiveConcat
from trainables.strategies.shared_encoder import SharedEncoder
from trainables.strategies.single_task import SingleTask

__all__ = ["NaiveConcat", "Part", "SharedEncoder", "SingleTask", "Step", "Strategy", "TrainTask"]


def make_strategy(
    arm: SingleTaskArm | NaiveConcatArm | SharedEncoderArm,
    tasks: list[TrainTask],
    training: TrainingConfig,
    seed: int,
) -> Strategy:
    """Make the strategy of an arm."""
    if isinstance(arm, SingleTaskArm):
        return SingleTask(tasks, training, seed)
    if isinstance(arm, NaiveConcatArm):
        return NaiveConcat(tasks, training, seed, arm)
    return SharedEncoder(tasks, training, seed, arm)
