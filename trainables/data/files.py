"""Task source ``files``: the user's own CSV, TSV, JSONL or Parquet files, by file extension.

CSV and TSV have a header row and are quoted as in RFC 4180 (a field that contains the separator, a
quotation mark or a line end is put in quotation marks, a quotation mark inside is doubled). JSONL
has one object per line. Text files are UTF-8, with or without a byte-order mark.
"""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainables.config.task import SPLITS, TaskConfig
from trainables.data.reading import read_bytes, read_text
from trainables.data.rows import Rows, column_indices, suggestion, to_splits
from trainables.data.splits import RawTask
from trainables.errors import DataError

Reader = Callable[[Path, str, str, TaskConfig], Rows]
"""(file, its key, task name, task configuration) -> the text and label columns."""


def load(name: str, task: TaskConfig, glue_dir: str | None) -> RawTask:
    """Load the task's files.

    Raises:
        DataError: anything wrong with a file; the message names file, line and key.
    """
    assert task.files is not None, "choose_source offers files only where they are set"
    rows: dict[str, Rows] = {}
    names: list[str] = []
    for split in SPLITS:
        file = getattr(task.files, split)
        if file is None:
            continue
        key = f"define.tasks.{name}.files.{split}"
        path = Path(file).expanduser()
        reader = _READERS.get(path.suffix.lower())
        if reader is None:
            raise DataError(
                f"{path}: the ending {path.suffix!r} is unknown ({key}); "
                f"{suggestion(path.suffix, _READERS)}"
            )
        rows[split] = reader(path, key, name, task)
        if not rows[split].labels:
            raise DataError(f"{path}: the file has no rows ({key})")
        names.append(path.name)
    labels, splits = to_splits(name, task, rows)
    return RawTask(labels, splits, f"files {', '.join(names)}")


def _delimited(separator: str) -> Reader:
    """A reader of CSV with ``separator`` between the fields."""

    def read(path: Path, key: str, name: str, task: TaskConfig) -> Rows:
        records = _records(path, read_text(path, key), separator, key)
        header_line, header = records[0]
        indices = column_indices(f"{path}:{header_line}", header, name, task)
        for line, fields in records[1:]:
            if len(fields) != len(header):
                raise DataError(
                    f"{path}:{line}: {len(fields)} fields, the header has {len(header)} ({key}); "
                    "put a field that holds the separator in quotation marks"
                )
        picked = [[fields[index] for index in indices] for _, fields in records[1:]]
        lines = [line for line, _ in records[1:]]
        return _rows(picked, lambda row: f"{path}:{lines[row]}")

    return read


def _records(path: Path, text: str, separator: str, key: str) -> list[tuple[int, list[str]]]:
    """The records of a CSV file, each with its first line's number; empty lines are skipped."""
    limit = csv.field_size_limit(2**31 - 1)
    records = []
    line = 1
    try:
        # Strict: otherwise a stray quotation mark would swallow half of the file into one field.
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        for fields in reader:
            if fields:
                records.append((line, fields))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}:{line}: {error} ({key}); quotation marks inside a field must be doubled and "
            "the field quoted"
        ) from error
    finally:
        csv.field_size_limit(limit)
    return records


def _jsonl(path: Path, key: str, name: str, task: TaskConfig) -> Rows:
    lines: list[int] = []
    picked: list[list[Any]] = []
    for number, line in enumerate(read_text(path, key).split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            # Objects become tuples of pairs, so that a repeated column is noticed.
            pairs = json.loads(line, object_pairs_hook=tuple)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", None) or str(error)
            raise DataError(f"{where}: broken JSON: {reason} ({key})") from error
        if not isinstance(pairs, tuple):
            raise DataError(f"{where}: not a JSON object ({key}); every line must be one")
        indices = column_indices(where, [column for column, _ in pairs], name, task)
        picked.append([pairs[index][1] for index in indices])
        lines.append(number)
    return _rows(picked, lambda row: f"{path}:{lines[row]}")


def _parquet(path: Path, key: str, name: str, task: TaskConfig) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = read_bytes(path, key)
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        names = file.schema_arrow.names
        wanted = [names[index] for index in column_indices(str(path), names, name, task)]
        table = file.read(columns=wanted, use_threads=False)
        columns = [table.column(column).to_pylist() for column in wanted]
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise DataError(f"{path}: not a readable Parquet file: {reason} ({key})") from error
    return _rows(
        [list(values) for values in zip(*columns, strict=True)], lambda row: f"{path} row {row + 1}"
    )


def _rows(picked: list[list[Any]], where: Callable[[int], str]) -> Rows:
    """Rows from records whose last value is the label; ``where`` names a row in messages."""
    return Rows([tuple(values[:-1]) for values in picked], [values[-1] for values in picked], where)


_READERS: dict[str, Reader] = {
    ".csv": _delimited(","),
    ".tsv": _delimited("\t"),
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}
