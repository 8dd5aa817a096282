"""The strategy interface: what the training loop needs from a strategy."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from trainables.config.metrics import Positive
from trainables.config.trial import TrainingConfig
from trainables.data.batches import BatchStream
from trainables.data.tokens import TokenSplit


@dataclass(frozen=True)
class TrainTask:
    """The training data of one task.

    Attributes:
        name: the task's name.
        classes: number of classes; 1 for a regression, whose only logit is the predicted number.
        train: the training examples.
        labels: names of the classes, in the order of their numbers; empty: their numbers.
        teacher: a teacher's class probabilities for them, float32 of shape
            ``(examples, classes)``, of a regression its predictions ``(examples, 1)``; None if the
            task has no teacher.
        positive: whose F1 is measured, see ``TaskResult``.
    """

    name: str
    classes: int
    train: TokenSplit
    labels: tuple[str, ...] = ()
    teacher: np.ndarray | None = None
    positive: Positive | None = None

    @property
    def regression(self) -> bool:
        """Whether it predicts numbers."""
        return self.classes == 1

    def collate(self, indices: np.ndarray) -> dict[str, torch.Tensor]:
        """Make a batch as ``TokenSplit.collate`` does, with the rows of ``teacher``, if any."""
        tensors = self.train.collate(indices)
        if self.teacher is not None:
            tensors["teacher"] = torch.from_numpy(self.teacher[indices])
        return tensors


@dataclass(frozen=True)
class Part:
    """Examples of one optimiser step that go through one head and have one loss.

    Attributes:
        head: name of the head.
        tensors: ``input_ids``, ``attention_mask`` and, if the encoder has segments,
            ``token_type_ids``, each ``(examples, tokens)``; ``labels`` ``(examples,)`` in the
            head's label space; if the task has a teacher, ``teacher`` ``(examples, classes)``.
        tasks: index of each example's task, shape ``(examples,)``; all equal, except in a pooled
            strategy.
    """

    head: str
    tensors: dict[str, torch.Tensor]
    tasks: np.ndarray

    def __len__(self) -> int:
        return len(self.tasks)

    @property
    def task(self) -> int:
        """Index of the loss's task; in a pooled strategy, that of the first example."""
        return int(self.tasks[0])


@dataclass(frozen=True)
class Step:
    """The batch of one optimiser step: one part, or one for each task in it."""

    parts: tuple[Part, ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))


class Strategy(ABC):
    """How one model is trained over the tasks.

    A strategy has no state that changes during training: step ``k`` depends only on the seed and
    ``k``, which makes resuming exact.

    Args:
        tasks: the tasks and their training data.
        training: batch size and other training settings.
        seed: the trial's seed.
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
    def class_counts(self) -> dict[str, np.ndarray]:
        """Head -> training examples of each of its classes, int64 of shape ``(classes,)``.

        Without the heads of regressions.
        """
        heads = {self.head_of(i) for i, task in enumerate(self.tasks) if not task.regression}
        counts = {
            head: np.zeros(self.heads[head], np.int64) for head in self.heads if head in heads
        }
        for number, task in enumerate(self.tasks):
            head = self.head_of(number)
            if task.regression:
                continue
            labels = self.head_labels(number, torch.from_numpy(np.array(task.train.labels)))
            counts[head] += np.bincount(labels.numpy(), minlength=len(counts[head]))
        return counts

    @property
    @abstractmethod
    def steps_per_pass(self) -> int:
        """Optimiser steps per pass over the data (in expectation, if tasks are sampled)."""

    @abstractmethod
    def steps(self, start: int) -> Iterator[Step]:
        """Endless batches from optimiser step ``start`` (counted from 0) on."""

    @abstractmethod
    def head_of(self, task: int) -> str:
        """Name of the head that classifies a task's examples."""

    def head_labels(self, task: int, labels: torch.Tensor) -> torch.Tensor:
        """Convert a task's own label numbers to the head's label space."""
        return labels

    def classes_of(self, task: int) -> tuple[int, ...]:
        """The classes of the task's head that are the task's own labels, in their order."""
        return tuple(range(self.tasks[task].classes))

    def own_labels(self, task: int, labels: torch.Tensor) -> torch.Tensor:
        """Convert labels from the head's label space to the task's own label numbers."""
        return labels

    def own_logits(self, task: int, logits: torch.Tensor) -> torch.Tensor:
        """Select the logits of the task's own classes, ``(batch, classes)``, from the head's."""
        return logits

    def predictions(self, task: int, logits: torch.Tensor) -> torch.Tensor:
        """Predicted classes of the task, or numbers of a regression, shape ``(batch,)``.

        The value ``classes`` stands for any class of another task.
        """
        return logits[:, 0] if self.tasks[task].regression else logits.argmax(dim=-1)

    def leaked(self, task: int, logits: torch.Tensor) -> torch.Tensor | None:
        """Whether the head's largest logit is another task's class, shape ``(batch,)``.

        None if the head has no classes of other tasks.
        """
        return None

    def stream(self, name: str, lengths: np.ndarray, batch_size: int) -> BatchStream:
        """A stream of batches that depends on the trial's seed and its own name alone."""
        return BatchStream(
            name, lengths, batch_size, self.seed, bucketing=self.training.length_bucketing
        )
