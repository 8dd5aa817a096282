"""The classes of ``naive_concat``'s one classifier, and which of them are a task's own."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from trainables.data.labels import whole

LabelSpaceName = Literal["shared", "positions", "union"]


@dataclass(frozen=True)
class LabelSpace:
    """The classes of one classifier for several tasks.

    Attributes:
        size: how many there are.
        classes: task -> the class of each of its labels.
        by: what pools the labels of different tasks: their ``name``, their ``position``, or
            nothing (``union``).
    """

    size: int
    classes: dict[str, tuple[int, ...]]
    by: Literal["name", "position", "union"]

    @property
    def reordered(self) -> bool:
        """Whether a task's labels are classes in another order than that of their numbers."""
        return any(list(classes) != sorted(classes) for classes in self.classes.values())


def label_space(labels: Mapping[str, tuple[str, ...]], name: LabelSpaceName) -> LabelSpace:
    """Pool the labels of tasks.

    ``shared``: where all tasks have the same names, in whatever order, a name is a class; where no
    two tasks share a name, also in another spelling, label k of every task is class k.
    ``positions``: label k of every task is class k. ``union``: every label of every task is a class
    of its own.

    Args:
        labels: task -> the names of its labels, in the order of their numbers.
        name: which of the three.

    Raises:
        ValueError: the numbers of labels differ, or only some names are shared; names the tasks.
    """
    if name == "union":
        classes, size = {}, 0
        for task, names in labels.items():
            classes[task] = tuple(range(size, size + len(names)))
            size += len(names)
        return LabelSpace(size, classes, "union")
    sizes = {task: len(names) for task, names in labels.items()}
    if len(set(sizes.values())) > 1:
        counts = ", ".join(f"{task} {number}" for task, number in sizes.items())
        raise ValueError(f"needs tasks with equal numbers of labels ({counts})")
    first, *others = labels.values()
    if name == "shared" and others:
        if all(set(names) == set(first) for names in others):
            own = {task: tuple(map(first.index, names)) for task, names in labels.items()}
            return LabelSpace(len(first), own, "name")
        _check_disjoint(labels)
    return LabelSpace(len(first), dict.fromkeys(labels, tuple(range(len(first)))), "position")


def _check_disjoint(labels: Mapping[str, tuple[str, ...]]) -> None:
    """Raises ValueError: two tasks share a name, or have it in two spellings."""
    owner: dict[str, tuple[str, str]] = {}
    for task, names in labels.items():
        for label in names:
            if (key := whole(label) or letters(label)) in owner:
                other, same = owner[key]
                shared = (
                    f"share {label!r} but not all names are shared"
                    if label == same
                    else f"have {same!r} and {label!r}, which are alike but not the same"
                )
                listed = "; ".join(f"{t}: {', '.join(own[:10])}" for t, own in labels.items())
                raise ValueError(
                    f"needs tasks whose label names are all the same or all different, and "
                    f"{other} and {task} {shared} ({listed})"
                )
        owner |= {whole(label) or letters(label): (task, label) for label in names}


def letters(name: str) -> str:
    """What two spellings of a name have in common: not case, spaces, punctuation or Unicode form.

    Of a number, signs and points are no punctuation.
    """
    folded = unicodedata.normalize("NFKC", name).casefold()
    kept = "".join(character for character in folded if character.isalnum())
    return kept if kept and not kept.isnumeric() else folded.strip()
