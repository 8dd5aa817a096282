"""Turns the values of a label column into class numbers; nothing is guessed.

- Names that the task lists in ``labels``, or that its data set declares, win over every rule about
  numbers, also names that look like numbers. A whole number that is none of them counts into them
  from 0, unless one of the names looks like a number.
- Without such names, the classes are the labels in train: their sorted names, or ``"0".."K-1"`` if
  all of them are numbers. A number never counts into these names, whose order nobody gave.
- ``1``, ``1.0`` and ``"1"`` are one label; names are compared in Unicode NFC without surrounding
  spaces. A fraction, several labels in one cell and -1, which marks hidden labels, are no classes
  unless they are listed.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

import numpy as np

from trainables.config.task import TaskConfig, normalized
from trainables.data.rows import Rows, is_null, suggestion
from trainables.errors import DataError

HIDDEN = object()
"""Stands in ``Rows.labels`` for a label that the data set itself declares to be hidden."""

MISSING = ("nan", "null", "<na>")
"""How programs write a label that is missing, in lower case."""

WHOLE = re.compile(r"([+-]?)0*(\d{1,300})(?:\.0*)?", re.ASCII)
FRACTION = re.compile(r"[+-]?(\d*[.,]\d+([eE][+-]?\d+)?|\d+\.?[eE]-\d+)", re.ASCII)
LIST = re.compile(r"[\[({].*[,;'\"].*[\])}]|\[[\d\s.-]*\]", re.ASCII | re.DOTALL)
SEPARATORS = "|;,/+&\n\t"
LISTING = "|;"
"""Separators that hardly any single name holds."""
MAX_DIGITS = 10
"""Length from which whole numbers are names of classes, such as users, whatever the others are."""

MAX_LIST = 1000
"""Longest text, in characters, that is taken for several labels in one cell."""


@dataclass(frozen=True)
class _Cell:
    """A distinct value of a label column.

    Attributes:
        text: the label as a name.
        number: the whole number that it is, as plain digits; None if it is none.
        kind: ``text``, ``number`` or ``boolean``: only a text has a spelling of its own.
        row: the first row that has it.
    """

    text: str
    number: str | None
    kind: str
    row: int

    @property
    def is_fraction(self) -> bool:
        """Whether it is a number, but no whole one."""
        return self.number is None and FRACTION.fullmatch(self.text) is not None


@dataclass(frozen=True)
class _Column:
    """The label column of one split.

    Attributes:
        rows: what it is the label column of.
        cells: its distinct values; None for an empty one.
        codes: index into ``cells``, int64 of shape ``(rows,)``.
    """

    rows: Rows
    cells: list[_Cell | None]
    codes: np.ndarray

    def row(self, code: int) -> int:
        """The first row that has a value."""
        return int(np.argmax(self.codes == code))


def number_labels(
    name: str, task: TaskConfig, splits: Mapping[str, Rows]
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Number the labels of every split.

    Args:
        name: the task's name, for messages.
        task: the task's configuration; its ``labels`` are those that are listed or declared.
        splits: split name -> rows, ``train`` among them.

    Returns:
        The class names in the order of their numbers, and split name -> class numbers, int64 of
        shape ``(rows,)``, with -1 for rows without a label where the task leaves these out.

    Raises:
        DataError: a label is missing, hidden, none of the classes, or no label at all; names the
            row and what to write.
    """
    columns = {split: _column(name, rows) for split, rows in splits.items()}
    if task.labels is None:
        classes = _Classes(_names(name, task, columns["train"]), listed=False)
    else:
        classes = _Classes(tuple(map(normalized, task.labels)), listed=True)
        _check_base(name, classes, columns.values())
    return classes.names, {
        split: _numbers(name, task, split, classes, column) for split, column in columns.items()
    }


class _Classes:
    """The classes of a task.

    Attributes:
        names: of the classes.
        listed: whether they were listed or declared, in an order that has a meaning.
        counted: whether numbers count into them.
    """

    def __init__(self, names: tuple[str, ...], *, listed: bool) -> None:
        self.names = names
        self.listed = listed
        self.counted = listed and not any(whole(n) or FRACTION.fullmatch(n) for n in names)
        self._exact = {name: index for index, name in enumerate(names)}
        self._numbers = _grouped(map(whole, names))
        if self.counted:
            self._numbers = {str(index): [index] for index in range(len(names))}
        self._lower = _grouped(name.lower() for name in names)

    def number(self, cell: _Cell) -> int | None:
        """The number of a label's class; None if it is that of none or could be several."""
        if cell.text in self._exact and (cell.kind == "text" or cell.is_fraction):
            return self._exact[cell.text]
        if cell.number is not None:
            same = self._numbers.get(cell.number, [])
        else:
            same = self._lower.get(cell.text, []) if cell.kind == "boolean" else []
        return same[0] if len(same) == 1 else None


def _grouped(values: Iterable[str | None]) -> dict[str | None, list[int]]:
    """Value -> where it occurs."""
    groups: dict[str | None, list[int]] = {}
    for index, value in enumerate(values):
        groups.setdefault(value, []).append(index)
    return groups


def _column(name: str, rows: Rows) -> _Column:
    codes = np.empty(len(rows.labels), dtype=np.int64)
    seen: dict[tuple[type, Any], int] = {}
    cells: list[_Cell | None] = []
    for row, value in enumerate(rows.labels):
        if isinstance(value, list | tuple | set | dict | np.ndarray):
            _refuse_several(name, rows, row, value)
        # True, 1 and 1.0 are equal in Python.
        key = (type(value), value)
        if key not in seen:
            seen[key] = len(cells)
            cells.append(_cell(name, rows, row, value))
        codes[row] = seen[key]
    return _Column(rows, cells, codes)


def _cell(name: str, rows: Rows, row: int, value: Any) -> _Cell | None:
    if value is HIDDEN or is_null(value):
        return None
    if isinstance(value, str):
        text = normalized(value)
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise DataError(f"{rows.where(row)}: the label holds half a surrogate pair")
        return _Cell(text, whole(text), "text", row) if text else None
    if isinstance(value, bool):
        return _Cell(str(value).lower(), None, "boolean", row)
    if isinstance(value, int):
        return _Cell(str(value), str(value), "number", row)
    if isinstance(value, float | Decimal) and math.isfinite(value):
        if value == int(value):
            return _Cell(str(int(value)), str(int(value)), "number", row)
        return _Cell(f"{Decimal(repr(float(value))).normalize():f}", None, "number", row)
    raise DataError(
        f"{rows.where(row)}: {value!r:.40} is no label; use a name or a whole number "
        f"(define.tasks.{name}.label)"
    )


def whole(text: str) -> str | None:
    """The whole number that a text is, as plain digits; None if it is none."""
    match = WHOLE.fullmatch(text)
    if match is None:
        return None
    sign, digits = match.groups()
    return ("-" if sign == "-" and digits != "0" else "") + digits


def _names(name: str, task: TaskConfig, train: _Column) -> tuple[str, ...]:
    """The class names of a task that lists none, from its training labels."""
    cells = [cell for cell in train.cells if cell is not None and not _is_missing(cell)]
    known = {cell.number or cell.text for cell in cells}
    for cell in cells:
        if cell.number == "-1":
            where = train.rows.where(cell.row)
            raise DataError(
                f"{where}: label -1 marks a hidden label in most data sets; name training "
                f"examples with labels in {train.rows.key}, or list all classes in "
                f'define.tasks.{name}.labels, with "-1" if it is one of them (without it, '
                f"define.tasks.{name}.unlabelled=skip leaves these rows out)"
            )
        _check_is_label(name, train.rows, cell, known)
    _check_not_mixed(name, train, cells)
    numbers = {cell.number for cell in cells}
    # Longer ones are identifiers.
    if all(number is not None and len(number) < MAX_DIGITS for number in numbers):
        ordered = sorted(int(str(number)) for number in numbers)
        if ordered != list(range(len(ordered))):
            first = next(cell for cell in cells if cell.number == str(ordered[0]))
            raise DataError(
                f"{train.rows.where(first.row)}: the training labels are "
                f"{_listed(map(str, ordered))}; number them from 0 without gaps, or list them as "
                f"names: {_as_names(name, map(str, ordered))}"
            )
        return tuple(map(str, ordered))
    return tuple(sorted(_spelled(cells)))


def _check_not_mixed(name: str, train: _Column, cells: Sequence[_Cell]) -> None:
    """Refuse numbers that may stand for the names beside them, or names that are lists.

    Raises:
        DataError: the numbers count into the other names, or parts of names recur elsewhere.
    """
    names = _spelled([cell for cell in cells if cell.number is None])
    numbers = [cell for cell in cells if cell.number is not None]
    positions = {str(position) for position in range(len(names) + 1)}
    if len(names) > 1 and numbers and {cell.number for cell in numbers} < positions:
        raise DataError(
            f"{train.rows.where(numbers[0].row)}: label {numbers[0].text!r} is a number and other "
            f"labels in train are names ({_listed(sorted(names))}): nothing says whether it stands "
            f"for one of them; write one or the other, or list all classes in "
            f"define.tasks.{name}.labels"
        )
    places: dict[str, set[int]] = {}
    several: list[tuple[_Cell, list[str]]] = []
    for cell in cells:
        used = next((separator for separator in LISTING if separator in cell.text), None)
        parts = list(filter(None, map(normalized, cell.text.split(used)))) if used else []
        if len(parts) > 1 and len(cell.text) < MAX_LIST and cell.kind == "text":
            several.append((cell, parts))
            for place, part in enumerate(parts):
                places.setdefault(part, set()).add(place)
        else:
            places.setdefault(cell.text, set()).add(-1)
    for cell, parts in several:
        if any(len(places[part]) > 1 for part in parts):
            _refuse_several(name, train.rows, cell.row, cell.text)


def _spelled(cells: Sequence[_Cell]) -> set[str]:
    """The names of labels: numbers that are equal have one, and booleans that of an equal text."""
    names = {cell.text for cell in cells if cell.kind == "text" and cell.number is None}
    lower = {name.lower() for name in names}
    names |= {cell.text for cell in cells if cell.kind == "boolean" and cell.text not in lower}
    for number in {cell.number for cell in cells} - {None}:
        spellings = {cell.text for cell in cells if cell.number == number}
        names.add(spellings.pop() if len(spellings) == 1 else str(number))
    return names


def _check_base(name: str, classes: _Classes, columns: Iterable[_Column]) -> None:
    """Refuse numbers that seem to count into the class names from 1: 0 never occurs."""
    if not classes.counted:
        return
    found = [
        (cell.number, column.rows.where(cell.row))
        for column in columns
        for cell in column.cells
        if cell is not None and cell.number not in (None, "-1")
    ]
    valid = [str(number) for number in range(1, len(classes.names) + 1)]
    if not found or not all(number in valid for number, _ in found):
        return
    numbers = sorted({str(number) for number, _ in found}, key=int)
    raise DataError(
        f"{found[0][1]}: the labels are the numbers {_listed(numbers)}: they count from 0 into "
        f"define.tasks.{name}.labels ({_listed(classes.names)}), and 0 never occurs. If they "
        f"count from 1, list them as names, {_as_names(name, valid)}, or write the names there"
    )


def _numbers(
    name: str, task: TaskConfig, split: str, classes: _Classes, column: _Column
) -> np.ndarray:
    """The class of every row, int64 of shape ``(rows,)``; -1 without a label."""
    numbers = np.full(len(column.cells), -1, dtype=np.int64)
    unlabelled = []
    for code, cell in enumerate(column.cells):
        found = None if cell is None else classes.number(cell)
        if found is not None:
            numbers[code] = found
        elif cell is None or _is_missing(cell) or cell.number == "-1":
            unlabelled.append(code)
        else:
            # One label in all rows, such as ?, stands for none.
            hidden = len(column.cells) == 1 and split != "train"
            advice = f"; if the labels are hidden, {way_out(split, column.rows)}" if hidden else ""
            _refuse_unknown(name, classes, column.rows, cell, advice)
    if unlabelled and (task.unlabelled == "refuse" or len(unlabelled) == len(column.cells)):
        every = len(unlabelled) == len(column.cells)
        _refuse_unlabelled(name, split, column, unlabelled[0], every=every)
    return numbers[column.codes]


def _is_missing(cell: _Cell) -> bool:
    return cell.kind == "text" and cell.text.lower() in MISSING


def _refuse_unlabelled(
    name: str, split: str, column: _Column, code: int, *, every: bool
) -> NoReturn:
    """Say that rows have no label, and what to do."""
    cell, rows, row = column.cells[code], column.rows, column.row(code)
    hidden = rows.labels[row] is HIDDEN or (cell is not None and cell.number == "-1")
    shown = "empty" if cell is None else f"missing ({cell.text})"
    label = "the label is hidden (-1)" if hidden else f"the label is {shown}"
    if every:
        reason = f"{label}, and so are all of this split; {way_out(split, rows)}"
    else:
        reason = (
            f"{label}; every row needs one, or leave such rows out: "
            f"define.tasks.{name}.unlabelled=skip"
        )
        reason += f"; or {way_out(split, rows)}" if hidden else ""
    if cell is not None:
        reason += f". If it is a class, list it in define.tasks.{name}.labels"
    raise DataError(f"{rows.where(row)}: {reason}")


def way_out(split: str, rows: Rows) -> str:
    """What to do about a split whose labels are missing or hidden."""
    return {
        "train": f"name training examples with labels in {rows.key}",
        "validation": f"name a split with labels in {rows.key}, or carve one from train: "
        f"{rows.key}={{fraction: 0.2}}",
        "mismatched": f"leave {rows.key} out",
        "test": f"leave {rows.key} out",
    }[split]


def _refuse_unknown(name: str, classes: _Classes, rows: Rows, cell: _Cell, advice: str) -> NoReturn:
    """Say why a label is none of the classes, and what to do."""
    key = f"define.tasks.{name}.labels"
    label = f"{rows.where(cell.row)}: label {cell.text!r:.80}"
    _check_is_label(name, rows, cell, set(classes.names))
    known = suggestion(cell.text, classes.names)
    if classes.listed:
        if cell.number is not None and classes.counted:
            known = f"numbers count from 0 to {len(classes.names) - 1}; {known}"
        elif any(whole(label) or FRACTION.fullmatch(label) for label in classes.names):
            known += (
                "; put names that look like numbers, dates or times in quotation marks, or YAML "
                "reads 010 as 8 and 1:30 as 90"
            )
        raise DataError(f"{label} is none of {key}; {known}{advice}")
    numbers = all(whole(other) is not None for other in classes.names)
    if numbers != (cell.number is not None):
        kinds = ("a name", "numbers") if numbers else ("a number", "names")
        raise DataError(
            f"{label} is {kinds[0]} and the labels in train are {kinds[1]}: nothing says which "
            f"is which; list the names in the order of the numbers, from 0, in {key}{advice}"
        )
    raise DataError(f"{label} is none of the labels in train; {known}{advice}")


def _check_is_label(name: str, rows: Rows, cell: _Cell, known: set[str]) -> None:
    """Check that a label that is not listed may be a class.

    Args:
        name: the task's name.
        rows: the rows that have the label.
        cell: the label.
        known: all labels of the task.

    Raises:
        DataError: it is a fraction, or several labels, each of which stands alone elsewhere.
    """
    if cell.kind == "text" and len(cell.text) < MAX_LIST:
        cut = [cell.text.split(separator) for separator in SEPARATORS if separator in cell.text]
        numbers = cell.text.split()
        cut += [numbers] if len(numbers) > 1 and all(map(whole, numbers)) else []
        parts = [{normalized(part) for part in several} for several in cut]
        if LIST.fullmatch(cell.text) or any(part <= known for part in parts):
            _refuse_several(name, rows, cell.row, cell.text)
    if cell.is_fraction:
        raise DataError(
            f"{rows.where(cell.row)}: label {cell.text!r:.40} is a fraction, such as a score, and "
            f"no class (define.tasks.{name}.label); to predict numbers set "
            f"define.tasks.{name}.kind=regression; if these are names of classes, list all of them "
            f"in define.tasks.{name}.labels, in quotation marks"
        )


def _refuse_several(name: str, rows: Rows, row: int, value: Any) -> NoReturn:
    raise DataError(
        f"{rows.where(row)}: several labels in one cell ({value!r:.60}); an example has one label "
        f"of a task: write one, or make a task of each (define.tasks.{name}.label); a name that "
        f"only looks like several is listed in define.tasks.{name}.labels"
    )


def _listed(labels: Iterable[str]) -> str:
    """The first ten labels."""
    shown = list(labels)
    return ", ".join(shown[:10]) + (", ..." if len(shown) > 10 else "")


def _as_names(name: str, numbers: Iterable[str]) -> str:
    """What to write so that numbers are the names of classes."""
    quoted = _listed(f'"{number}"' for number in numbers)
    return f"define.tasks.{name}.labels=[{quoted}]"
