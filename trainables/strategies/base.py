"""What the training loop asks of a strategy."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from trainables.config.trial import TrainingConfig
from trainables.data.batches import BatchStream
from trainables.data.tokens import TokenSplit


@dataclass(frozen=True)
class TrainTask:
    """One task as a strategy sees it.

    Attributes:
        name: its name.
        classes: how many it has.
        train: its training examples.
        teacher: what a teacher says of each of them, float32 of shape ``(examples, classes)``,
            rows that sum to 1; none: the task has no teacher.
    """

    name: str
    classes: int
    train: TokenSplit
    teacher: np.ndarray | None = None

    def collate(self, indices: np.ndarray) -> dict[str, torch.Tensor]:
        """A batch (see ``TokenSplit.collate``), with its rows of ``teacher`` where there is one."""
        tensors = self.train.collate(indices)
        if self.teacher is not None:
            tensors["teacher"] = torch.from_numpy(self.teacher[indices])
        return tensors


@dataclass(frozen=True)
class Part:
    """Examples of one optimiser step that go through one head and have one loss.

    Attributes:
        head: the head that is trained.
        tensors: ``input_ids``, ``attention_mask`` and, where the encoder knows segments,
            ``token_type_ids``, each ``(examples, tokens)``; ``labels`` ``(examples,)`` in the
            head's label space; where the task has a teacher, ``teacher`` ``(examples, classes)``.
        tasks: index of each example's task, shape ``(examples,)``; all the same, except where the
            strategy knows no tasks.
    """

    head: str
    tensors: dict[str, torch.Tensor]
    tasks: np.ndarray

    def __len__(self) -> int:
        return len(self.tasks)

    @property
    def task(self) -> int:
        """The task whose loss this is; the first one's where the strategy knows no tasks."""
        return int(self.tasks[0])


@dataclass(frozen=True)
class Step:
    """The batch of one optimiser step: one part, or one for each task that is in it."""

    parts: tuple[Part, ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))


class Strategy(ABC):
    """How one model is trained over the tasks.

    A strategy holds no state that moves with training: everything about step ``k`` follows from
    the seed and ``k``, which is what makes resumption exact.
    """

    def __init__(self, tasks: list[TrainTask], training: TrainingConfig, seed: int) -> None:
        self.tasks = tasks
        self.training = training
        self.seed = seed

    @property
    @abstractmethod
    def heads(self) -> dict[str, int]:
        """Head name -> number of classes."""

    @property
    @abstractmethod
    def steps_per_pass(self) -> int:
        """Optimiser steps in which each example is seen once (in expectation, where sampled)."""

    @abstractmethod
    def steps(self, start: int) -> Iterator[Step]:
        """Endless batches from optimiser step ``start`` (counted from 0) on."""

    @abstractmethod
    def head_of(self, task: int) -> str:
        """The head that answers for a task."""

    def own_labels(self, task: int, labels: torch.Tensor) -> torch.Tensor:
        """The task's own label numbers of labels in its head's label space."""
        return labels

    def own_logits(self, task: int, logits: torch.Tensor) -> torch.Tensor:
        """The task's own classes' logits ``(batch, classes)`` out of its head's."""
        return logits

    def predictions(self, task: int, logits: torch.Tensor) -> torch.Tensor:
        """Predicted classes of the task, shape ``(batch,)``.

        The task's number of classes stands for "another task's class".
        """
        return logits.argmax(dim=-1)

    def leaked(self, task: int, logits: torch.Tensor) -> torch.Tensor | None:
        """Whether the head's unrestricted choice is another task's class; none: it has no such."""
        return None

    def _stream(self, name: str, lengths: np.ndarray, batch_size: int) -> BatchStream:
        return BatchStream(
            name, lengths, batch_size, self.seed, bucketing=self.training.length_bucketing
        )
