"""Strategy ``single_task``: one encoder and one head for one task."""

from trainables.config.arms import SharedEncoderArm
from trainables.config.trial import TrainingConfig
from trainables.strategies.base import TrainTask
from trainables.strategies.shared_encoder import SharedEncoder


class SingleTask(SharedEncoder):
    """Shared-encoder training with one task: there is nothing to sample or to weight."""

    def __init__(self, tasks: list[TrainTask], training: TrainingConfig, seed: int) -> None:
        if len(tasks) != 1:
            raise ValueError(f"single_task trains one task, not {len(tasks)}")
        super().__init__(tasks, training, seed, SharedEncoderArm(strategy="shared_encoder"))
