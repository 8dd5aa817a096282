"""From rows of raw values to splits: the checks that files and the Hub share.

Labels may be names or numbers. Names are looked up in the task's ``labels``; a number that is no
name counts into them. Where the task has no ``labels``, they are the sorted names of the training
split, or, where all of its labels are numbers, ``"0".."K-1"``.
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
    """The text and label columns of one split, as they were read.

    Attributes:
        texts: per row, the values of the text columns.
        labels: per row, the value of the label column.
        where: row index -> how a message calls that row, for example ``train.csv:12``.
    """

    texts: Sequence[tuple[Any, ...]]
    labels: Sequence[Any]
    where: Callable[[int], str]


def suggestion(value: str, valid: Iterable[str]) -> str:
    """``did you mean 'x'? `` where one of ``valid`` is near, and all of them (at most 20)."""
    names = list(valid)
    near = difflib.get_close_matches(value, names, n=1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    listed = ", ".join(map(repr, names[:20])) + (", ..." if len(names) > 20 else "")
    return f"{meant}there are {listed or 'none'}"


def column_indices(where: str, columns: Sequence[str], name: str, task: TaskConfig) -> list[int]:
    """Positions of the text columns and, last, of the label column among ``columns``.

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
    """The text columns and, last, the label column, each with the key that names it."""
    text_key = f"define.tasks.{name}.text"
    return [(column, text_key) for column in task.text] + [
        (task.label, f"define.tasks.{name}.label")
    ]


def to_splits(
    name: str, task: TaskConfig, splits: dict[str, Rows], *, allow_empty_text: bool = False
) -> tuple[tuple[str, ...], dict[str, Split]]:
    """Label names, and every split with its texts checked and its labels numbered.

    Raises:
        DataError: a text that is null, empty or no text, or a label that is none of the task's.
    """
    texts = {split: _texts(rows, name, allow_empty_text) for split, rows in splits.items()}
    found = {
        split: [_label(value, rows.where, row) for row, value in enumerate(rows.labels)]
        for split, rows in splits.items()
    }
    labels = task.labels or _names(found["train"], name)
    return labels, {
        split: Split(texts[split], _numbers(found[split], labels, rows.where, name))
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
    if not allow_empty and not text.strip():
        return "is empty"
    if "\0" in text:
        return "holds a NUL character"
    # Half a surrogate pair can be written in JSON, but is no character.
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "holds half a surrogate pair"
    return None


def _is_null(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _label(value: object, where: Callable[[int], str], row: int) -> str:
    """The label as text: ``true``/``false`` for booleans, digits for whole numbers."""
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
    """The number that a label is written as, or none."""
    digits = label.removeprefix("-")
    return int(label) if digits.isascii() and digits.isdigit() and len(digits) < 10 else None


def _names(found: list[str], name: str) -> tuple[str, ...]:
    numbers = {_as_number(label) for label in found}
    if None in numbers:
        return tuple(sorted(set(found)))
    ordered = sorted(number for number in numbers if number is not None)
    if ordered != list(range(len(ordered))):
        shown = ", ".join(map(str, ordered[:10])) + (", ..." if len(ordered) > 10 else "")
        raise DataError(
            f"task {name}: the training labels are {shown}; number them from 0 without gaps, or "
            f"name all of them in define.tasks.{name}.labels"
        )
    return tuple(map(str, ordered))


def _numbers(
    found: list[str], labels: tuple[str, ...], where: Callable[[int], str], name: str
) -> np.ndarray:
    """Label numbers, shape ``(rows,)``, int64."""
    known = {label: number for number, label in enumerate(labels)}
    if all(_as_number(label) is None for label in labels):
        # Counting into names that are numbers themselves would be ambiguous.
        known |= {str(number): number for number in range(len(labels))}
    for row, label in enumerate(found):
        if label not in known:
            number = _as_number(label)
            if number is not None and str(number) in known:
                known[label] = known[str(number)]
                continue
            raise DataError(
                f"{where(row)}: label {label!r:.80} is none of define.tasks.{name}.labels; "
                f"{suggestion(label, labels)}"
            )
    return np.array([known[label] for label in found], dtype=np.int64)
