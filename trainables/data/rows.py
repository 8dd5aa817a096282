"""The rows of a data file or data set: which columns a task needs, and their values, unchecked."""

import difflib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from trainables.config.task import TaskConfig
from trainables.errors import DataError


@dataclass(frozen=True)
class Rows:
    """The columns of one split that a task needs, unchecked.

    Attributes:
        texts: the values of the text columns, per row.
        labels: the value of the label column, per row.
        groups: the value of the ``group`` column, per row; None without one.
        where: row index -> name of that row for messages, for example ``train.csv:12``.
        key: the configuration key that names the split's file or split.
        quoting: how the quotation marks of a CSV or TSV file were read, where that was a choice.
    """

    texts: Sequence[tuple[Any, ...]]
    labels: Sequence[Any]
    groups: Sequence[Any] | None
    where: Callable[[int], str]
    key: str
    quoting: str | None = None


def suggestion(value: str, valid: Iterable[str]) -> str:
    """``did you mean 'x'? there are ...``: the closest valid value, if any, and the first 20."""
    names = list(valid)
    near = difflib.get_close_matches(value, names, n=1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    listed = ", ".join(map(repr, names[:20])) + (", ..." if len(names) > 20 else "")
    return f"{meant}there are {listed or 'none'}"


def column_indices(
    where: str, columns: Sequence[str], name: str, task: TaskConfig, *, group_needed: bool
) -> list[int]:
    """Indices of the columns that a task needs (see ``wanted_columns``) in ``columns``.

    Args:
        where: names the columns' owner in messages.
        columns: the names of all that it has.
        name, task: the task.
        group_needed: whether the group column must be there; else it has no index where it is not.

    Raises:
        DataError: a column is missing or occurs twice.
    """
    indices = []
    for column, key in wanted_columns(name, task):
        if column not in columns:
            if column == task.group and not group_needed:
                continue
            reason = suggestion(column, columns)
            if len(columns) == 1 and any(separator in columns[0] for separator in ",;\t|"):
                reason += (
                    "; a .csv file has commas between its columns and a .tsv file tabs: save it so"
                )
            raise DataError(f"{where}: no column {column!r} ({key}); {reason}")
        if columns.count(column) > 1:
            raise DataError(f"{where}: column {column!r} occurs twice ({key}); rename one")
        indices.append(columns.index(column))
    return indices


def wanted_columns(name: str, task: TaskConfig) -> list[tuple[str, str]]:
    """Names of the text columns, the label column and the group column, if any, with their keys."""
    key = f"define.tasks.{name}"
    groups = [] if task.group is None else [(task.group, f"{key}.group")]
    return [(text, f"{key}.text") for text in task.text] + [(task.label, f"{key}.label"), *groups]


def make_rows(
    task: TaskConfig,
    records: Sequence[Sequence[Any]],
    where: Callable[[int], str],
    key: str,
    quoting: str | None = None,
) -> Rows:
    """Rows from records whose values are those of ``column_indices``; for the rest see ``Rows``."""
    texts = len(task.text)
    groups = [record[texts + 1] if len(record) > texts + 1 else None for record in records]
    grouped = any(len(record) > texts + 1 for record in records)
    return Rows(
        [tuple(record[:texts]) for record in records],
        [record[texts] for record in records],
        groups if grouped else None,
        where,
        key,
        quoting,
    )


def is_null(value: object) -> bool:
    """Whether a cell has no value."""
    return value is None or (isinstance(value, float) and math.isnan(value))
