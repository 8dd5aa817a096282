"""Reads CSV and TSV files: a header row, then as many fields in every row.

A quotation mark is either read as in RFC 4180 (a field that contains the separator, a quotation
mark or a line end is put in quotation marks, a quotation mark inside is doubled) or it is text
like any other character, as in GLUE's TSV files. The task's ``quoting`` says which. Without it, a
TSV file is read both ways: if the two differ and both are well-formed, it is refused. A CSV file is
read as in RFC 4180, unless that joins lines that are well-formed rows without quoting.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import NoReturn

from trainables.config.task import TaskConfig
from trainables.data.reading import read_text
from trainables.data.rows import Rows, column_indices, make_rows
from trainables.errors import DataError

EITHER = "either"
"""Reading of a file whose fields are the same with and without quoting."""

Record = tuple[int, list[str]]
"""The number of its first line, and the fields."""


@dataclass(frozen=True)
class _File:
    """A file and what is read from it."""

    path: Path
    text: str
    separator: str
    key: str
    name: str
    task: TaskConfig
    group_needed: bool

    @property
    def quoting_key(self) -> str:
        """The key that decides how quotation marks are read."""
        return f"define.tasks.{self.name}.quoting"

    def column_indices(self, where: str, header: Sequence[str]) -> list[int]:
        """See ``trainables.data.rows``."""
        return column_indices(where, header, self.name, self.task, group_needed=self.group_needed)


def read_delimited(
    path: Path, key: str, name: str, task: TaskConfig, group_needed: bool, *, separator: str
) -> Rows:
    """Read the columns that a task needs.

    Args:
        path: the file.
        key: the configuration key that names it, for messages.
        name: the task's name.
        task: the task's configuration.
        group_needed: whether its group column must be there.
        separator: what stands between two fields.

    Raises:
        DataError: the file cannot be read, is not well-formed, lacks a column, or its quotation
            marks can be read in two ways.
    """
    file = _File(path, read_text(path, key), separator, key, name, task, group_needed)
    if task.quoting is not None:
        records, quoting = _read(file, task.quoting), task.quoting
    elif separator == ",":
        records, quoting = _read_csv(file), None
    else:
        records, quoting = _read_tsv(file)
    lines = [line for line, _ in records]
    picked = [fields for _, fields in records]
    return make_rows(task, picked, lambda row: f"{path}:{lines[row]}", key, quoting)


def _read_csv(file: _File) -> list[Record]:
    quoted = _read(file, "rfc4180")
    # Only a field of several lines can have swallowed rows.
    if len(quoted) < file.text.rstrip().count("\n"):
        try:
            raw = _read(file, "none")
        except DataError:
            return _read_as_quoted(file)
        if len(raw) > len(quoted):
            _refuse_both(file, raw, quoted)
    return quoted


def _read_tsv(file: _File) -> tuple[list[Record], str]:
    try:
        raw = _read(file, "none")
    except DataError as error:
        try:
            return _read_as_quoted(file), "rfc4180"
        except DataError as other:
            reason = str(other)
            if str(error) != reason:
                reason += f"; without quoting ({file.quoting_key}=none): {error}"
            raise DataError(reason) from other
    if '"' not in file.text:
        return raw, EITHER
    try:
        quoted = _read(file, "rfc4180")
    except DataError:
        return raw, "none"
    if [fields for _, fields in raw] != [fields for _, fields in quoted]:
        _refuse_both(file, raw, quoted)
    return raw, EITHER


def _refuse_both(file: _File, raw: list[Record], quoted: list[Record]) -> NoReturn:
    """Refuse a file that is well-formed in both readings, which are not the same.

    Raises:
        DataError: always; names the first line that differs, and both readings of it.
    """
    pairs = zip_longest(raw, quoted, fillvalue=(0, []))
    one, other = next((a, b) for a, b in pairs if a[1] != b[1])
    fields = zip_longest(one[1], other[1], fillvalue="")
    text, field = next((a, b) for a, b in fields if a != b)
    raise DataError(
        f"{file.path}:{one[0] or other[0]}: its quotation marks can be read in two ways "
        f"({file.key}): {text!r:.60} if they are text, {field!r:.60} if they quote a field; set "
        f"{file.quoting_key} to none (text) or rfc4180"
    )


def _read(file: _File, quoting: str) -> list[Record]:
    """The rows with the fields of the wanted columns, in their order.

    Raises:
        DataError: the file is not well-formed with this ``quoting``.
    """
    records = _split(file) if quoting == "none" else _parse(file)
    header_line, header = records[0]
    where = f"{file.path}:{header_line}"
    indices = file.column_indices(where, header)
    for line, fields in records[1:]:
        if len(fields) != len(header):
            advice = "put a field that holds the separator in quotation marks"
            if quoting == "none":
                advice = "without quoting, no field can hold the separator or a line end"
            raise DataError(
                f"{file.path}:{line}: {len(fields)} fields, the header has {len(header)} "
                f"({file.key}); {advice}"
            )
    return [(line, [fields[index] for index in indices]) for line, fields in records[1:]]


def _read_as_quoted(file: _File) -> list[Record]:
    """The rows as in RFC 4180, where that is the only reading.

    Raises:
        DataError: the file is not well-formed, or a field holds several lines that look like rows:
            each begins or ends with a label. A quotation mark that is text at the beginning of a
            field joins all lines up to the next one.
    """
    rows = _read(file, "rfc4180")
    # Only a field of several lines can have swallowed rows.
    if len(rows) >= file.text.rstrip().count("\n"):
        return rows
    records = _parse(file)
    header = records[0][1]
    label = file.column_indices("", header)[len(file.task.text)]
    known = {
        fields[label] for _, fields in records[1:] if not any("\n" in field for field in fields)
    }
    lines = file.text.split("\n")
    for line, fields in records[1:]:
        joined = lines[line - 1 : line - 1 + sum(field.count("\n") for field in fields)]
        cut = [text.removesuffix("\r").split(file.separator) for text in joined]
        # Other fields may hold the separator, so the label is counted from either end.
        if cut and all(
            len(row) >= len(header) and {row[label], row[label - len(header)]} & known - {""}
            for row in cut
        ):
            raise DataError(
                f"{file.path}:{line}: a field in quotation marks joins this line and the next "
                f"{len(joined)}, which look like rows ({file.key}): {joined[0]!r:.60}; if its "
                f"quotation mark is text, double it and put the field in quotation marks; if the "
                f"lines belong to the field, set {file.quoting_key}=rfc4180"
            )
    return rows


def _split(file: _File) -> list[Record]:
    """The records without quoting; lines end with ``\\n`` or ``\\r\\n``, empty ones are skipped."""
    lines = enumerate((line.removesuffix("\r") for line in file.text.split("\n")), 1)
    return [(number, line.split(file.separator)) for number, line in lines if line]


def _parse(file: _File) -> list[Record]:
    """The records as in RFC 4180; empty lines are skipped."""
    limit = csv.field_size_limit(2**31 - 1)
    records = []
    line = 1
    try:
        # Strict: otherwise a stray quotation mark would swallow half of the file into one field.
        text = io.StringIO(file.text, newline="")
        reader = csv.reader(text, delimiter=file.separator, strict=True)
        for fields in reader:
            if fields:
                records.append((line, fields))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{file.path}:{line}: {error} ({file.key}); quotation marks inside a field must be "
            f"doubled and the field quoted, or set {file.quoting_key}=none if they are text"
        ) from error
    finally:
        csv.field_size_limit(limit)
    return records
