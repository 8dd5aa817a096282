"""The examples of a task, by split."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Split:
    """One split of one task.

    Attributes:
        texts: a tuple of one or two strings per example.
        labels: int64 of shape ``(examples,)``, in ``[0, number of labels)``; of a regression its
            targets, float64.
        groups: int64 of shape ``(examples,)``: examples of a group are never divided among splits
            that are carved, and are no independent draws; None without groups.
    """

    texts: list[tuple[str, ...]]
    labels: np.ndarray
    groups: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def mean_length(self) -> float:
        """Mean number of characters per example."""
        return float(np.mean([sum(map(len, text)) for text in self.texts]))

    def same_texts(self, any_order: bool) -> list[tuple[str, ...]]:
        """The texts by which examples are told apart: sorted if their order has no meaning."""
        return [tuple(sorted(texts)) for texts in self.texts] if any_order else self.texts

    def class_sizes(self, classes: int) -> list[int]:
        """Examples of each of so many classes; none of a regression, which has 0."""
        return [] if not classes else np.bincount(self.labels, minlength=classes).tolist()

    @cached_property
    def strata(self) -> np.ndarray:
        """What is kept in proportion where examples are drawn, int64 of shape ``(examples,)``.

        The classes; of a regression's targets, the ten quantiles, or fewer where these would hold
        less than two examples.
        """
        if self.labels.dtype.kind == "i":
            return self.labels
        parts = max(1, min(10, len(self) // 2))
        edges = np.quantile(self.labels, np.arange(1, parts) / parts) if len(self) else []
        return np.unique(np.searchsorted(edges, self.labels, side="right"), return_inverse=True)[1]

    def take(self, indices: np.ndarray) -> "Split":
        """The examples at ``indices``, in that order."""
        groups = None if self.groups is None else self.groups[indices]
        return Split([self.texts[i] for i in indices], self.labels[indices], groups)


@dataclass(frozen=True)
class TaskData:
    """The data of one task: every split that a trial may use.

    Attributes:
        name: the task's name.
        labels: label names, in the order of their numbers; none of a regression.
        splits: always ``train`` and ``validation``; ``selection`` if the trial selects anything;
            ``mismatched`` if the task has a second validation split; ``test`` if its true labels
            exist.
        fingerprint: hexadecimal SHA-256 over labels, split names, texts and label numbers of
            ``splits``.
        origin: one line for a table's header, for example ``glue_dir (official download)``.
        pair: whether every example has two texts.
    """

    name: str
    labels: tuple[str, ...]
    splits: dict[str, Split]
    fingerprint: str
    origin: str
    pair: bool = field(default=False)

    @property
    def outputs(self) -> int:
        """What its head gives for an example: a logit for each class, or the predicted number."""
        return len(self.labels) or 1
