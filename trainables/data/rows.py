"""Turns raw rows into splits: the checks of texts and labels that files and the Hub share.

Labels may be names or numbers. Names are looked up in the task's ``labels``; a number that is not
a name is an index into them. If the task has no ``labels``, they are the sorted names in the
training split, or ``"0".."K-1"`` if all of its labels are numbers.
"""

import difflib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainables.config.task import TaskConfig
from trainables.data.task import Split
from trainables.errors import DataError


@dataclass(frozen=True)
class Rows:
    """The text and label columns of one split, unchecked.

    Attributes:
        texts: the values of the text columns, per row.
        labels: the value of the label column, per row.
        where: row index -> name of that row for messages, for example ``train.csv:12``.
    """

    texts: Sequence[tuple[Any, ...]]
    labels: Sequence[Any]
    where: Callable[[int], str]


def suggestion(value: str, valid: Iterable[str]) -> str:
    """``did you mean 'x'? there are ...``: the closest valid value, if any, and the first 20."""
    names = list(valid)
    near = difflib.get_close_matches(value, names, n=1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    listed = ", ".join(map(repr, names[:20])) + (", ..." if len(names) > 20 else "")
    return f"{meant}there are {listed or 'none'}"


def column_indices(where: str, columns: Sequence[str], name: str, task: TaskConfig) -> list[int]:
    """Indices of the text columns and, last, the label column in ``columns``.

    Raises:
        DataError: a column is missing or occurs twice.
    """
    indices = []
    for column, key in wanted_columns(name, task):
        if column not in columns:
            raise DataError(f"{where}: no column {column!r} ({key}); {suggestion(column, columns)}")
        if columns.count(column) > 1:
            raise DataError(f"{where}: column {column!r} occurs twice ({key}); rename one")
        indices.append(columns.index(column))
    return indices


def wanted_columns(name: str, task: TaskConfig) -> list[tuple[str, str]]:
    """Names of the text columns and, last, the label column, each with its configuration key."""
    text_key = f"define.tasks.{name}.text"
    return [(column, text_key) for column in task.text] + [
        (task.label, f"define.tasks.{name}.label")
    ]


def to_splits(
    name: str, task: TaskConfig, splits: dict[str, Rows], *, allow_empty_text: bool = False
) -> tuple[tuple[str, ...], dict[str, Split]]:
    """Check all texts and number all labels.

    Args:
        name: the task's name, for messages.
        task: the task's configuration.
        splits: split name -> rows.
        allow_empty_text: whether an empty text is valid.

    Returns:
        The label names in the order of their numbers, and split name -> split.

    Raises:
        DataError: a text is null, empty or not a string, or a label is not one of the task's.
    """
    texts = {split: _texts(rows, name, allow_empty_text) for split, rows in splits.items()}
    labels_as_text = {
        split: [_label(value, rows.where, row) for row, value in enumerate(rows.labels)]
        for split, rows in splits.items()
    }
    labels = task.labels or _names(labels_as_text["train"], name)
    return labels, {
        split: Split(texts[split], _numbers(labels_as_text[split], labels, rows.where, name))
        for split, rows in splits.items()
    }


def _texts(rows: Rows, name: str, allow_empty: bool) -> list[tuple[str, ...]]:
    for row, values in enumerate(rows.texts):
        for value in values:
            if isinstance(value, str):
                problem = _problem(value, allow_empty)
            else:
                problem = "is null" if _is_null(value) else f"is no text but {value!r:.40}"
            if problem:
                raise DataError(f"{rows.where(row)}: the text {problem} (define.tasks.{name}.text)")
    return list(rows.texts)


def _problem(text: str, allow_empty: bool) -> str | None:
    """What is wrong with a text, as the end of a sentence; None if it is valid."""
    if not allow_empty and not text.strip():
        return "is empty"
    if "\0" in text:
        return "holds a NUL character"
    # JSON can contain half a surrogate pair, which is not a character.
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "holds half a surrogate pair"
    return None


def _is_null(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _label(value: object, where: Callable[[int], str], row: int) -> str:
    """A label as text: ``true`` or ``false`` for booleans, digits for whole numbers.

    Raises:
        DataError: the label is empty, or neither a string nor a whole number.
    """
    if _is_null(value) or (isinstance(value, str) and not value.strip()):
        raise DataError(f"{where(row)}: the label is empty; every row needs one")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int):
        return str(value).strip()
    raise DataError(f"{where(row)}: {value!r:.40} is no label; use a name or a whole number")


def _as_number(label: str) -> int | None:
    """The label as a number; None if it is not a whole number."""
    digits = label.removeprefix("-")
    return int(label) if digits.isascii() and digits.isdigit() and len(digits) < 10 else None


def _names(labels: list[str], name: str) -> tuple[str, ...]:
    """The label names of a task that names none, from its training ``labels``."""
    numbers = {_as_number(label) for label in labels}
    if None in numbers:
        return tuple(sorted(set(labels)))
    ordered = sorted(number for number in numbers if number is not None)
    if ordered != list(range(len(ordered))):
        shown = ", ".join(map(str, ordered[:10])) + (", ..." if len(ordered) > 10 else "")
        raise DataError(
            f"task {name}: the training labels are {shown}; number them from 0 without gaps, or "
            f"name all of them in define.tasks.{name}.labels"
        )
    return tuple(map(str, ordered))


def _numbers(
    values: list[str], labels: tuple[str, ...], where: Callable[[int], str], name: str
) -> np.ndarray:
    """The number of each label in ``values``, int64 of shape ``(rows,)``."""
    numbers = {label: number for number, label in enumerate(labels)}
    if all(_as_number(label) is None for label in labels):
        # If the names were numbers themselves, an index into them would be ambiguous.
        numbers |= {str(number): number for number in range(len(labels))}
    for row, label in enumerate(values):
        if label not in numbers:
            number = _as_number(label)
            if number is not None and str(number) in numbers:
                numbers[label] = numbers[str(number)]
                continue
            raise DataError(
                f"{where(row)}: label {label!r:.80} is none of define.tasks.{name}.labels; "
                f"{suggestion(label, labels)}"
            )
    return np.array([numbers[label] for label in values], dtype=np.int64)
