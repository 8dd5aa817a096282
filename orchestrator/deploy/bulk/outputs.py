"""Writes rows with their answers as CSV, TSV, JSONL or Parquet: parts, which are then joined."""

import json
import math
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.deploy.bulk.block import Block
from orchestrator.deploy.bulk.inputs import SEPARATORS, Format, Input
from trainables.errors import DataError

Columns = Mapping[str, Sequence[Any]]
"""Column -> a value for each row of a block."""


class Output(Protocol):
    """A format of outputs."""

    def write(self, path: Path, block: Block, answers: Columns) -> None:
        """Write a part."""
        ...

    def join(self, parts: Iterable[Path], path: Path) -> None:
        """Write the whole from its parts, in their order."""
        ...


class TextOutput(ABC):
    """A format whose parts are joined as they are.

    Attributes:
        header: what stands before the rows.
    """

    header = b""

    @abstractmethod
    def encode(self, block: Block, answers: Columns) -> bytes:
        """Rows as they stand in the file."""

    def write(self, path: Path, block: Block, answers: Columns) -> None:
        """Write a part."""
        path.write_bytes(self.encode(block, answers))

    def join(self, parts: Iterable[Path], path: Path) -> None:
        """Write the whole from its parts, in their order."""
        with path.open("wb") as whole:
            whole.write(self.header)
            for part in parts:
                with part.open("rb") as file:
                    shutil.copyfileobj(file, whole)


class DelimitedOutput(TextOutput):
    """CSV or TSV, quoted as in RFC 4180 where that is needed, lines ending with a line feed.

    Args:
        kept: the input's columns that are written.
        answers: the columns of answers.
        separator: what stands between two fields.
    """

    def __init__(self, kept: Sequence[str], answers: Sequence[str], separator: str) -> None:
        self._kept = kept
        self._separator = separator
        self._special = re.compile(f'[{separator}"\r\n]')
        self.header = self._lines([[*kept, *answers]])

    def encode(self, block: Block, answers: Columns) -> bytes:
        """See ``TextOutput``."""
        objects = block.objects(self._kept)
        added = zip(*answers.values(), strict=True)
        return self._lines(
            [*map(row.get, self._kept), *cells] for row, cells in zip(objects, added, strict=True)
        )

    def _lines(self, rows: Iterable[Sequence[Any]]) -> bytes:
        lines = (self._separator.join(map(self._field, row)) + "\n" for row in rows)
        return "".join(lines).encode("utf-8", "replace")

    def _field(self, value: Any) -> str:
        text = as_text(value) or ""
        return '"' + text.replace('"', '""') + '"' if self._special.search(text) else text


class JsonOutput(TextOutput):
    """JSONL: each row's own keys, then the answers.

    Args:
        kept: the input's columns that are written; None for all that a row has.
    """

    def __init__(self, kept: Sequence[str] | None) -> None:
        self._kept = kept

    def encode(self, block: Block, answers: Columns) -> bytes:
        """See ``TextOutput``."""
        objects = block.objects(self._kept)
        for number, row in zip(block.numbers, objects, strict=True):
            if taken := row.keys() & answers.keys():
                raise DataError(
                    f"line {number}: the column {min(taken)!r} would stand beside an answer of "
                    "that name; rename it, or name the other columns with --keep"
                )
        added = zip(*answers.values(), strict=True)
        return b"".join(
            as_json(row | dict(zip(answers, cells, strict=True))) + b"\n"
            for row, cells in zip(objects, added, strict=True)
        )


class ParquetOutput:
    """Parquet: a row group for each part.

    Args:
        kept: the input's columns that are written, with their types.
        answers: the columns of answers.
    """

    def __init__(self, kept: pa.Schema, answers: pa.Schema) -> None:
        self._kept = kept
        self._answers = answers
        self._schema = pa.schema([*kept, *answers])

    def write(self, path: Path, block: Block, answers: Columns) -> None:
        """Write a part."""
        if block.table is not None:
            kept = block.table.select(self._kept.names)
        else:
            rows = block.objects(self._kept.names)
            texts = {name: [as_text(row.get(name)) for row in rows] for name in self._kept.names}
            kept = pa.table(
                {name: [_whole(text) for text in values] for name, values in texts.items()},
                self._kept,
            )
        added = pa.table(dict(answers), self._answers)
        columns = [*kept.columns, *added.columns]
        pq.write_table(pa.table(columns, schema=self._schema), path)

    def join(self, parts: Iterable[Path], path: Path) -> None:
        """Write the whole from its parts, in their order."""
        with pq.ParquetWriter(path, self._schema) as writer:
            for part in parts:
                writer.write_table(pq.read_table(part, schema=self._schema))


def make_output(
    kind: Format, opened: Input, kept: Sequence[str] | None, answers: pa.Schema
) -> Output:
    """The output of a format.

    Args:
        kind: the format.
        opened: the input.
        kept: the input's columns that are written; None for all.
        answers: the columns of answers.
    """
    if kind == "jsonl":
        return JsonOutput(kept)
    kept = opened.columns if kept is None else kept
    if kind == "parquet":
        schema = opened.schema or pa.schema([(name, pa.string()) for name in opened.columns])
        return ParquetOutput(pa.schema([schema.field(name) for name in kept]), answers)
    return DelimitedOutput(kept, answers.names, SEPARATORS[kind])


def as_text(value: Any) -> str | None:
    """A value as a field: texts as they are, numbers and nested values as JSON, others as text."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | int | float | list | dict):
        return as_json(value).decode()
    return str(value)


def as_json(value: Any) -> bytes:
    """JSON in UTF-8; a number that JSON does not know is null, half a surrogate pair is escaped."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, default=str)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(_finite(value), default=str).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value


def _whole(text: str | None) -> str | None:
    """A text without halves of surrogate pairs, which UTF-8 cannot hold."""
    return None if text is None else text.encode("utf-8", "replace").decode()
