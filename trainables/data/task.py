"""The examples of a task, split by split."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Split:
    """One split of one task.

    Attributes:
        texts: one tuple of one or two strings per example.
        labels: int64 array of shape ``(examples,)``, each in ``[0, number of labels)``.
    """

    texts: list[tuple[str, ...]]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def mean_length(self) -> float:
        """Characters of an example, on average."""
        return float(np.mean([sum(map(len, text)) for text in self.texts]))

    def take(self, indices: np.ndarray) -> "Split":
        """The examples at ``indices``, in that order."""
        return Split([self.texts[i] for i in indices], self.labels[indices])


@dataclass(frozen=True)
class TaskData:
    """All that a trial may see of one task.

    Attributes:
        name: the task's name.
        labels: label names, in the order of their numbers.
        splits: ``train`` and ``validation`` always; ``selection`` where something is selected;
            ``test`` where its true labels exist.
        fingerprint: hexadecimal SHA-256 over labels, split names, texts and label numbers of
            ``splits``.
        origin: one line for a table's header, for example ``glue_dir (official download)``.
    """

    name: str
    labels: tuple[str, ...]
    splits: dict[str, Split]
    fingerprint: str
    origin: str
    pair: bool = field(default=False)
