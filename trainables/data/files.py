"""Task source ``files``: the user's own CSV, TSV, JSONL or Parquet files, by file extension.

CSV and TSV: see ``delimited.py``. JSONL has one object per line. Text files are UTF-8, with or
without a byte-order mark.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from trainables.config.task import TaskConfig
from trainables.data.delimited import EITHER, read_delimited
from trainables.data.examples import to_raw_task
from trainables.data.reading import read_bytes, read_text
from trainables.data.rows import Rows, column_indices, make_rows, suggestion
from trainables.data.splits import RawTask
from trainables.errors import DataError

Reader = Callable[[Path, str, str, TaskConfig, bool], Rows]
"""(file, its key, task name, task configuration, whether the group column must be there) -> the
columns that the task needs."""


def load(name: str, task: TaskConfig, glue_dir: str | None) -> RawTask:
    """Load the task's files.

    Raises:
        DataError: anything wrong with a file; the message names file, line and key.
    """
    assert task.files is not None, "choose_source offers files only where they are set"
    rows: dict[str, Rows] = {}
    names: dict[str, str] = {}
    for split, file in task.files.paths.items():
        key = f"define.tasks.{name}.files.{split}"
        path = Path(file).expanduser()
        reader = _READERS.get(path.suffix.lower())
        if reader is None:
            raise DataError(
                f"{path}: the ending {path.suffix!r} is unknown ({key}); "
                f"{suggestion(path.suffix, _READERS)}"
            )
        # Only train is divided, so only it must have groups.
        rows[split] = reader(path, key, name, task, split == "train")
        if not rows[split].labels:
            raise DataError(f"{path}: the file has no rows ({key})")
        names[split] = path.name
    quoting = {names[split]: part.quoting for split, part in rows.items() if part.quoting}
    origin = f"files {', '.join(names.values())}{_quoting(quoting)}"
    return to_raw_task(name, task, rows, origin)


def _quoting(readings: dict[str, str]) -> str:
    """What a task's origin says of the quotation marks in its files, by the files' names."""
    if not readings:
        return ""
    chosen = {reading for reading in readings.values() if reading != EITHER}
    if not chosen:
        return "; quoting: makes no difference"
    if len(chosen) == 1:
        return f"; quoting: {chosen.pop()}"
    return "; quoting: " + ", ".join(f"{file} {reading}" for file, reading in readings.items())


def _jsonl(path: Path, key: str, name: str, task: TaskConfig, group_needed: bool) -> Rows:
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
        if task.unlabelled == "skip" and task.label not in (column for column, _ in pairs):
            pairs = (*pairs, (task.label, None))
        columns = [column for column, _ in pairs]
        indices = column_indices(where, columns, name, task, group_needed=group_needed)
        picked.append([pairs[index][1] for index in indices])
        lines.append(number)
    return make_rows(task, picked, lambda row: f"{path}:{lines[row]}", key)


def _parquet(path: Path, key: str, name: str, task: TaskConfig, group_needed: bool) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = read_bytes(path, key)
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        names = file.schema_arrow.names
        indices = column_indices(str(path), names, name, task, group_needed=group_needed)
        wanted = [names[index] for index in indices]
        table = file.read(columns=list(dict.fromkeys(wanted)), use_threads=False)
        columns = [table.column(column).to_pylist() for column in wanted]
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise DataError(f"{path}: not a readable Parquet file: {reason} ({key})") from error
    records = list(zip(*columns, strict=True))
    return make_rows(task, records, lambda row: f"{path} row {row + 1}", key)


_READERS: dict[str, Reader] = {
    ".csv": partial(read_delimited, separator=","),
    ".tsv": partial(read_delimited, separator="\t"),
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}
