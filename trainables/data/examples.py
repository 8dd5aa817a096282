"""From rows to examples: the checks of texts, labels and groups that files and the Hub share."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainables.config.task import TaskConfig, normalized
from trainables.data.labels import number_labels
from trainables.data.rows import Rows, is_null
from trainables.data.splits import RawTask
from trainables.data.targets import read_targets
from trainables.data.task import Split
from trainables.errors import DataError


def to_raw_task(name: str, task: TaskConfig, splits: Mapping[str, Rows], origin: str) -> RawTask:
    """Check all texts, number all labels and leave out rows without a label where the task says so.

    Args:
        name: the task's name, for messages.
        task: the task's configuration.
        splits: split name -> rows, ``train`` among them.
        origin: where they came from; how many rows are left out is added to it.

    Raises:
        DataError: a text or a group is null, empty or of another type, or a label is not one of the
            task's (see ``labels.py`` and ``targets.py``).
    """
    if task.kind == "regression":
        labels, numbers = (), read_targets(name, task, splits)
    else:
        labels, numbers = number_labels(name, task, splits)
    examples, left_out = {}, []
    for split, rows in splits.items():
        missing = np.isnan(numbers[split]) if task.kind == "regression" else numbers[split] < 0
        kept = np.flatnonzero(~missing)
        examples[split] = Split(
            _texts(rows, name, kept), numbers[split][kept], _groups(rows, name, kept)
        )
        if skipped := len(rows.labels) - len(kept):
            left_out.append(f"{skipped} of {split}")
    if left_out:
        origin += f"; rows without a label left out: {', '.join(left_out)}"
    return RawTask(labels, examples, origin)


def _texts(rows: Rows, name: str, kept: np.ndarray) -> list[tuple[str, ...]]:
    """The texts of the rows that are kept; in a pair, a null is an empty text."""
    examples = []
    for row in kept:
        values = rows.texts[row]
        if len(values) > 1 and any(map(is_null, values)):
            values = tuple("" if is_null(value) else value for value in values)
        if problem := text_problem(values):
            raise DataError(f"{rows.where(row)}: {problem} (define.tasks.{name}.text)")
        examples.append(tuple(values))
    return examples


def text_problem(values: Sequence[Any]) -> str | None:
    """What is wrong with the texts of an example, as a sentence; None if they are valid."""
    for value in values:
        if not isinstance(value, str):
            return f"the text {'is null' if is_null(value) else f'is no text but {value!r:.40}'}"
        if "\0" in value:
            return "the text holds a NUL character"
        # JSON can contain half a surrogate pair, which is not a character.
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            return "the text holds half a surrogate pair"
    if not any(value.strip() for value in values):
        empty = "both texts are empty" if len(values) > 1 else "the text is empty"
        return f"{empty}; remove the row or give it a text"
    return None


def _groups(rows: Rows, name: str, kept: np.ndarray) -> np.ndarray | None:
    """A number for each group of the rows that are kept, int64; None without groups."""
    if rows.groups is None:
        return None
    numbers: dict[str, int] = {}
    groups = np.empty(len(kept), dtype=np.int64)
    for index, row in enumerate(kept):
        value = rows.groups[row]
        if is_null(value) or not str(value).strip():
            raise DataError(
                f"{rows.where(row)}: the group is empty; give every row one, a row of its own a "
                f"value of its own (define.tasks.{name}.group)"
            )
        groups[index] = numbers.setdefault(normalized(str(value)), len(numbers))
    return groups
