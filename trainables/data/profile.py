"""What the whole splits of a task hold: classes, repeated texts, texts of one split in another.

Counted before limits and the selection split. Two examples have the same text if all their texts
are equal, character by character.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping

import numpy as np
from pydantic import NonNegativeInt

from trainables.config.base import Settings
from trainables.config.task import TaskConfig
from trainables.data.splits import RawTask
from trainables.data.task import Split
from trainables.errors import DataError

Texts = tuple[str, ...]
"""All texts of an example."""


class Overlap(Settings):
    """The examples of a split whose text also stands in ``train``.

    Attributes:
        examples: how many.
        other_label: how many of them stand there with other labels only.
    """

    examples: NonNegativeInt
    other_label: NonNegativeInt


class TaskProfile(Settings):
    """What the whole splits of one task hold.

    Attributes:
        labels: label names, in the order of their numbers; empty if the labels are no classes.
        sizes: split -> examples.
        classes: split -> examples of each label.
        repeated: texts that stand more than once in ``train``.
        copies: examples of ``train`` whose text stands there before them.
        contradictions: texts that stand in ``train`` with different labels.
        in_train: split other than ``train`` -> its examples whose text stands in ``train``.
    """

    labels: tuple[str, ...]
    sizes: dict[str, NonNegativeInt]
    classes: dict[str, tuple[NonNegativeInt, ...]]
    repeated: NonNegativeInt
    copies: NonNegativeInt
    contradictions: NonNegativeInt
    in_train: dict[str, Overlap]


def profile(raw: RawTask) -> TaskProfile:
    """Count what the whole splits of a task hold."""
    train = raw.splits["train"]
    labels_of = defaultdict(set)
    for texts, label in zip(train.texts, train.labels.tolist(), strict=True):
        labels_of[texts].add(label)
    return TaskProfile(
        labels=raw.labels,
        sizes={name: len(split) for name, split in raw.splits.items()},
        classes={
            name: tuple(split.class_sizes(len(raw.labels)))
            for name, split in raw.splits.items()
            if raw.labels
        },
        repeated=sum(number > 1 for number in Counter(train.texts).values()),
        copies=len(train) - len(labels_of),
        contradictions=sum(len(labels) > 1 for labels in labels_of.values()),
        in_train={
            name: _overlap(split, labels_of)
            for name, split in raw.splits.items()
            if name != "train"
        },
    )


def _overlap(split: Split, labels_of: Mapping[Texts, Collection[float]]) -> Overlap:
    """The examples of ``split`` that stand among texts with these labels."""
    there = [
        label in labels_of[texts]
        for texts, label in zip(split.texts, split.labels.tolist(), strict=True)
        if texts in labels_of
    ]
    return Overlap(examples=len(there), other_label=there.count(False))


def held_out_texts(raw: RawTask) -> frozenset[Texts]:
    """The texts of all splits but ``train``."""
    return frozenset(
        texts for name, split in raw.splits.items() if name != "train" for texts in split.texts
    )


def shared_with(raw: RawTask, train: Iterable[Texts]) -> dict[str, int]:
    """Count the examples of each split but ``train`` whose text is among those of ``train``.

    Args:
        raw: a task.
        train: the texts of another task's ``train``.

    Returns:
        Split -> examples.
    """
    texts = frozenset(train)
    return {
        name: sum(example in texts for example in split.texts)
        for name, split in raw.splits.items()
        if name != "train"
    }


def without(split: Split, texts: Collection[Texts]) -> Split:
    """The examples of ``split`` whose text is not among ``texts``."""
    kept = [index for index, example in enumerate(split.texts) if example not in texts]
    return split if len(kept) == len(split) else split.take(np.array(kept, dtype=np.int64))


def check_columns(name: str, task: TaskConfig) -> None:
    """Check that texts and label are columns of their own.

    Raises:
        DataError: a column is there twice.
    """
    key = f"define.tasks.{name}.text"
    if task.label in task.text:
        raise DataError(
            f"{key}: {task.label!r} is the label column (define.tasks.{name}.label); a text must "
            "be another column, since a model would read the answer"
        )
    for column in task.text:
        if task.text.count(column) > 1:
            raise DataError(f"{key}: {column!r} is there twice; name two different columns")


def check_whole(name: str, source: str, raw: RawTask) -> None:
    """Check that the splits of a task are different ones, and that its labels are classes.

    Args:
        name: the task's name, for messages.
        source: where it comes from (a key of ``LOADERS``), for messages.
        raw: its data.

    Raises:
        DataError: two splits hold the same examples, or every training example has a label of its
            own.
    """
    splits = list(raw.splits.items())
    for number, (first, split) in enumerate(splits):
        for second, other in splits[number + 1 :]:
            if split.texts == other.texts and np.array_equal(split.labels, other.labels):
                key = f"define.tasks.{name}.{source}"
                raise DataError(
                    f"task {name} ({raw.origin}): {first} and {second} hold the same "
                    f"{len(split)} examples ({key}); give each split examples of its own"
                )
    labels = raw.splits["train"].labels
    if raw.labels and 2 < len(labels) == len(np.unique(labels)):
        raise DataError(
            f"task {name} ({raw.origin}): all {len(labels)} train examples have different labels; "
            f"define.tasks.{name}.label must name a column of classes"
        )
