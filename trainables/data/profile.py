"""What the whole splits of a task hold: classes, repeated texts, texts of one split in another.

Counted before limits and the selection split. Two examples have the same text if all their texts
are equal, character by character, in their order or, where the task says so, in any.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

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


def profile(raw: RawTask, any_order: bool = False) -> TaskProfile:
    """Count what the whole splits of a task hold.

    Args:
        raw: the task.
        any_order: whether a pair is the same in both orders.
    """
    train = raw.splits["train"]
    train_texts = train.same_texts(any_order)
    labels_of = defaultdict(set)
    for texts, label in zip(train_texts, train.labels.tolist(), strict=True):
        labels_of[texts].add(label)
    return TaskProfile(
        labels=raw.labels,
        sizes={name: len(split) for name, split in raw.splits.items()},
        classes={
            name: tuple(split.class_sizes(len(raw.labels)))
            for name, split in raw.splits.items()
            if raw.labels
        },
        repeated=sum(number > 1 for number in Counter(train_texts).values()),
        copies=len(train) - len(labels_of),
        contradictions=sum(len(labels) > 1 for labels in labels_of.values()),
        in_train={
            name: _overlap(split, split.same_texts(any_order), labels_of)
            for name, split in raw.splits.items()
            if name != "train"
        },
    )


def _overlap(
    split: Split, texts: Sequence[Texts], labels_of: Mapping[Texts, Collection[float]]
) -> Overlap:
    """The examples of ``split``, which have these texts, that stand among texts with labels."""
    there = [
        label in labels_of[example]
        for example, label in zip(texts, split.labels.tolist(), strict=True)
        if example in labels_of
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
        train: the texts that another task's ``train`` is read as.

    Returns:
        Split -> examples.
    """
    texts = frozenset(train)
    return {
        name: sum(example in texts for example in split.texts)
        for name, split in raw.splits.items()
        if name != "train"
    }


def without(split: Split, texts: Collection[Texts], *, both_orders: bool = False) -> Split:
    """The examples of ``split`` whose text is not among ``texts``.

    Args:
        split: the examples.
        texts: what is left out.
        both_orders: whether each pair is read in both orders, neither of which may be there.
    """
    kept = [
        index
        for index, example in enumerate(split.texts)
        if example not in texts and not (both_orders and example[::-1] in texts)
    ]
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


def _same_examples(split: Split, other: Split) -> bool:
    """Whether two splits hold the same examples, in whatever order."""
    if len(split) != len(other):
        return False
    if split.texts == other.texts:
        return np.array_equal(split.labels, other.labels)
    one, two = (
        Counter(zip(part.texts, part.labels.tolist(), strict=True)) for part in (split, other)
    )
    return one == two


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
            if _same_examples(split, other):
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
