"""What a task is measured with: its metrics, whose F1 is meant, and what labels leave undefined."""

from collections.abc import Sequence
from typing import Literal

CLASSIFICATION = ("accuracy", "f1", "matthews")
"""Metrics of classes, in the order of a table's columns; of all metrics more is better."""

REGRESSION = ("pearson", "spearman")
"""Metrics of numbers, in the same order."""

Positive = int | Literal["macro"]
"""Whose F1 is meant: that of a class, by its index, or the mean over the classes."""


def default_f1(classes: int) -> Positive:
    """Whose F1 is meant where nobody says: class 1 of two, of more the mean over all."""
    return 1 if classes == 2 else "macro"


def f1_of(labels: Sequence[str], positive: str | None) -> Positive:
    """Whose F1 a task's ``positive`` asks for: the index of a label, or the mean over all.

    Args:
        labels: the task's labels in order.
        positive: a label, ``macro``, or None: the second of two labels, of more the mean.

    Raises:
        ValueError: it is none of the labels.
    """
    if positive is None:
        return default_f1(len(labels))
    if positive == "macro" and positive not in labels:
        return "macro"
    return list(labels).index(positive)


def f1_name(labels: Sequence[str], positive: str | None) -> str:
    """F1 with the name of its class: ``F1 of acceptable``, or ``macro F1``."""
    index = f1_of(labels, positive)
    return "macro F1" if index == "macro" else f"F1 of {labels[index]}"


def undefined(class_sizes: Sequence[int], positive: Positive) -> frozenset[str]:
    """The metrics that a split's labels leave undefined, whatever is predicted.

    F1 and Matthews correlation where all labels are of one class: they measure how classes are told
    apart. F1 of a class also where no label is of this class.

    Args:
        class_sizes: examples of each class.
        positive: whose F1 it is, see ``f1_of``.
    """
    if sum(map(bool, class_sizes)) < 2:
        return frozenset({"f1", "matthews"})
    lacks = positive != "macro" and class_sizes[positive] == 0
    return frozenset({"f1"} if lacks else ())
