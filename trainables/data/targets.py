"""Turns the values of a label column into the numbers that a regression predicts."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from trainables.config.task import TaskConfig
from trainables.data.labels import MISSING, way_out
from trainables.data.rows import Rows, is_null
from trainables.errors import DataError

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def read_targets(name: str, task: TaskConfig, splits: Mapping[str, Rows]) -> dict[str, np.ndarray]:
    """Read the targets of every split.

    Args:
        name: the task's name, for messages.
        task: the task's configuration.
        splits: split name -> rows.

    Returns:
        Split name -> targets, float64 of shape ``(rows,)``, with NaN for rows without one where
        the task leaves these out.

    Raises:
        DataError: a target is missing or no finite number; names the row. Or all targets of a
            split are -1, which marks hidden labels, and none in train is negative.
    """
    targets = {
        split: np.array([_target(name, task, rows, row) for row in range(len(rows.labels))])
        for split, rows in splits.items()
    }
    if not (targets["train"] < 0).any():
        for split, rows in splits.items():
            known = targets[split][~np.isnan(targets[split])]
            if len(known) and (known == -1).all():
                raise DataError(
                    f"{rows.where(int(np.argmax(targets[split] == -1)))}: the label is hidden "
                    f"(-1), and so are all of this split, while none in train is negative; "
                    f"{way_out(split, rows)}"
                )
    return targets


def _target(name: str, task: TaskConfig, rows: Rows, row: int) -> float:
    value = rows.labels[row]
    if is_null(value) or (isinstance(value, str) and value.strip().lower() in ("", *MISSING)):
        if task.unlabelled == "skip":
            return math.nan
        raise DataError(
            f"{rows.where(row)}: the label is missing; every row needs a number, or leave such "
            f"rows out: define.tasks.{name}.unlabelled=skip"
        )
    number = _number(value)
    if number is None or not math.isfinite(number):
        comma = ", with a decimal point" if isinstance(value, str) and "," in value else ""
        raise DataError(
            f"{rows.where(row)}: label {value!r:.40} is no number; "
            f"define.tasks.{name}.kind=regression needs one in every row{comma}"
        )
    return number


def _number(value: Any) -> float | None:
    """A value as a number; None if it is none."""
    if isinstance(value, str):
        return float(value) if NUMBER.fullmatch(value.strip()) else None
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    try:
        return float(value) if is_number else None
    except OverflowError:
        return None
