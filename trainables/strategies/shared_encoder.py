"""Strategy ``shared_encoder``: one encoder and a head per task, trained together (MT-DNN).

Liu et al. 2019, "Multi-Task Deep Neural Networks for Natural Language Understanding": each step
trains on one task's batch through the shared encoder and that task's head. A step with several
tasks has a part, and so a loss, for each (see ``trainables/strategies/task_sampling.py``).
"""

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from trainables.config.arms import SharedEncoderArm
from trainables.config.trial import TrainingConfig
from trainables.data.batches import BatchStream
from trainables.seeding import generator
from trainables.strategies.base import Part, Step, Strategy, TrainTask
from trainables.strategies.task_sampling import in_every_step, make_sampler, step_sizes


class SharedEncoder(Strategy):
    """A head per task; a sampler chooses each step's tasks."""

    def __init__(
        self, tasks: list[TrainTask], training: TrainingConfig, seed: int, arm: SharedEncoderArm
    ) -> None:
        super().__init__(tasks, training, seed)
        self.sampler = make_sampler(arm.sampling)
        # A single task has nothing to mix with: its batches are those of single-task training.
        self._batch = arm.sampling.batch if len(tasks) > 1 else "one_task"
        self._sizes = np.array([len(task.train) for task in tasks])

    @property
    def heads(self) -> dict[str, int]:
        """One head per task."""
        return {task.name: task.classes for task in self.tasks}

    @property
    def steps_per_pass(self) -> int:
        """Steps of a round: all tasks' batches, or batches over all examples together."""
        return len(self._round(0))

    def head_of(self, task: int) -> str:
        """The task's own head."""
        return self.tasks[task].name

    def steps(self, start: int) -> Iterator[Step]:
        """See ``Strategy.steps``."""
        taken = np.zeros(len(self.tasks), dtype=np.int64)
        number = 0
        step = 0
        while True:
            for counts in self._round(number):
                if step >= start:
                    yield self._step(taken, counts)
                taken += counts
                step += 1
            number += 1

    def _round(self, number: int) -> np.ndarray:
        """What each step of round ``number`` takes of each task, int64 ``(steps, tasks)``.

        The unit is a whole batch if a step has one task, otherwise an example.
        """
        rng = generator(self.seed, "sampler", number)
        progress = min(1.0, number / max(1, self.training.epochs - 1))
        if self._batch == "one_task":
            draws = np.array([stream.per_pass for stream in self._streams])
            return self._one_hot(self.sampler.schedule(self._sizes, draws, progress, rng))
        sizes = step_sizes(int(self._sizes.sum()), self.training.batch_size)
        if self._batch == "joint":
            return in_every_step(self.sampler.shares(self._sizes, progress), sizes, rng)
        drawn = self._one_hot(self.sampler.schedule(self._sizes, self._sizes, progress, rng))
        return np.add.reduceat(drawn, np.cumsum(sizes) - sizes)

    def _one_hot(self, drawn: np.ndarray) -> np.ndarray:
        """Task indices ``(draws,)`` as one-hot rows ``(draws, tasks)``."""
        return np.eye(len(self.tasks), dtype=np.int64)[drawn]

    def _step(self, taken: np.ndarray, counts: np.ndarray) -> Step:
        """The step that takes ``counts`` of each task after ``taken``, both ``(tasks,)``."""
        parts = []
        for task in map(int, np.flatnonzero(counts)):
            stream = self._streams[task]
            if self._batch == "one_task":
                indices = stream.batch(int(taken[task]))
            else:
                indices = stream.examples(int(taken[task]), int(counts[task]))
            tensors = self.tasks[task].collate(indices)
            parts.append(Part(self.head_of(task), tensors, np.full(len(indices), task)))
        return Step(tuple(parts))

    @cached_property
    def _streams(self) -> list[BatchStream]:
        """Batches of each task, of about its share of a step, so that lengths in it are similar."""
        sizes = np.full(len(self.tasks), self.training.batch_size)
        if self._batch != "one_task":
            shares = self.sampler.shares(self._sizes, 0.0)
            sizes = np.maximum(1, np.round(shares * self.training.batch_size)).astype(np.int64)
        return [
            self.stream(task.name, task.train.lengths, int(size))
            for task, size in zip(self.tasks, sizes, strict=True)
        ]
