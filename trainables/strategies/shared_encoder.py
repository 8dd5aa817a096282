"""One encoder, a head per task, trained together (MT-DNN and its family).

Liu et al. 2019, "Multi-Task Deep Neural Networks for Natural Language Understanding": each step
trains one task's batch through the shared encoder and that task's head.
"""

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from trainables.config import SharedEncoderArm, TrainingConfig
from trainables.data.batches import BatchStream
from trainables.seeding import generator
from trainables.strategies.base import Step, Strategy, TrainTask
from trainables.training.sampling import make_sampler


class SharedEncoder(Strategy):
    """A head per task; a sampler chooses each step's task."""

    def __init__(
        self, tasks: list[TrainTask], training: TrainingConfig, seed: int, arm: SharedEncoderArm
    ) -> None:
        super().__init__(tasks, training, seed)
        self.sampler = make_sampler(arm.sampling)

    @property
    def heads(self) -> dict[str, int]:
        """One per task."""
        return {task.name: task.classes for task in self.tasks}

    @property
    def steps_per_pass(self) -> int:
        """All tasks' batches."""
        return int(self._batches.sum())

    def head_of(self, task: int) -> str:
        """The task's own."""
        return self.tasks[task].name

    def steps(self, start: int) -> Iterator[Step]:
        """See ``Strategy.steps``."""
        seen = np.zeros(len(self.tasks), dtype=np.int64)
        number = 0
        at = 0
        while True:
            for task in self._round(number):
                if at >= start:
                    yield self._step(int(task), int(seen[task]))
                seen[task] += 1
                at += 1
            number += 1

    def _round(self, number: int) -> np.ndarray:
        examples = np.array([len(task.train) for task in self.tasks])
        rng = generator(self.seed, "sampler", number)
        return self.sampler.schedule(examples, self._batches, rng)

    def _step(self, task: int, k: int) -> Step:
        indices = self._streams[task].batch(k)
        tensors = self.tasks[task].train.collate(indices)
        return Step(self.head_of(task), tensors, np.full(len(indices), task))

    @cached_property
    def _streams(self) -> list[BatchStream]:
        return [self._stream(task.name, task.train.lengths) for task in self.tasks]

    @cached_property
    def _batches(self) -> np.ndarray:
        return np.array([stream.per_pass for stream in self._streams])
