"""Reads CSV, TSV, JSONL and Parquet in blocks of rows, so that no file is too large.

A row that cannot be read is kept with the reason. What makes all rows after it doubtful, such as a
quotation mark that is never closed, ends the reading with an error.
"""

import codecs
import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.deploy.bulk.block import (
    BLOCK_BYTES,
    BLOCK_ROWS,
    Block,
    Row,
    blocks_of,
    with_first,
)
from trainables.config.explain import nearest
from trainables.errors import ConfigError, DataError

Format = Literal["csv", "tsv", "jsonl", "parquet"]
Quoting = Literal["none", "rfc4180"]

FORMATS: tuple[Format, ...] = get_args(Format)
SEPARATORS = {"csv": ",", "tsv": "\t"}

LONGEST_LINE = 64 << 20
"""Bytes of a line, and characters of a field."""


@dataclass(frozen=True)
class Input:
    """An input that was opened.

    Attributes:
        name: for messages.
        columns: its columns; of JSONL, those of its first block.
        blocks: its rows, which can be read once.
        size: its size, in the unit of ``Block.end``; None of a stream.
        schema: the columns of a Parquet file with their types.
    """

    name: str
    columns: tuple[str, ...]
    blocks: Iterator[Block]
    size: int | None
    schema: pa.Schema | None = None


def format_of(path: str, named: str | None, option: str) -> Format:
    """The format that is named, else that of the file's ending.

    Raises:
        ConfigError: neither is one of ``FORMATS``.
    """
    name = Path(path).suffix.lower().removeprefix(".") if named is None else named
    for known in FORMATS:
        if name == known:
            return known
    if named is not None:
        raise ConfigError(f"{option} {named}: is no format{nearest(named, FORMATS)}")
    raise ConfigError(
        f"{path}: its ending does not say its format; add {option} with one of {', '.join(FORMATS)}"
    )


@contextmanager
def opened(
    path: Path, kind: Format, quoting: Quoting | None, stream: BinaryIO | None = None
) -> Iterator[Input]:
    """Open an input and read what says its columns.

    Args:
        path: the file; of a stream, its name for messages.
        kind: its format.
        quoting: how quotation marks are read in CSV and TSV. None: in CSV as in RFC 4180; a TSV
            file is refused if a field begins with one, as nothing says whether it is text.
        stream: what is read instead of the file.

    Raises:
        ConfigError: a Parquet file comes as a stream.
        DataError: the file cannot be read, has no rows or no columns, or names a column twice.
            Reading on may raise it too.
    """
    if kind == "parquet" and stream is not None:
        raise ConfigError(f"{path}: Parquet cannot be read from a stream; give a file")
    with ExitStack() as stack:
        with _as_data_error(path):
            if kind == "parquet":
                found = _parquet(path, stack.enter_context(_parquet_file(path)))
            else:
                size = None
                if stream is None:
                    if path.is_file():
                        size = path.stat().st_size
                    stream = stack.enter_context(path.open("rb"))
                    if kind == "tsv" and quoting is None and size is not None:
                        _refuse_quotes(path, stream)
                found = _text(path, kind, quoting, stream, size)
        yield replace(found, blocks=_guarded(path, found.blocks))


def _parquet_file(path: Path) -> pq.ParquetFile:
    return pq.ParquetFile(
        path, buffer_size=1 << 20, pre_buffer=False, page_checksum_verification=True
    )


def _text(
    path: Path, kind: Format, quoting: Quoting | None, stream: BinaryIO, size: int | None
) -> Input:
    lines = _lines(path, stream)
    if kind == "jsonl":
        blocks = blocks_of(_json_rows(lines))
        first = next(blocks, None)
        if first is None:
            raise DataError(f"{path}: the file has no rows")
        columns = tuple(dict.fromkeys(name for row in first.rows for name in row))
        return Input(str(path), columns, with_first(first, blocks), size)
    if quoting == "none" or (quoting is None and kind == "tsv"):
        records = _unquoted(path, lines, SEPARATORS[kind], quoting is None)
    else:
        records = _quoted(path, lines, SEPARATORS[kind])
    header = next(records, None)
    if header is None:
        raise DataError(f"{path}: the file is empty")
    columns = _checked(path, [_valid(name) for name in header[1]])
    return Input(str(path), columns, blocks_of(_rows(records, columns)), size)


def _checked(path: Path, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns, each of which has a name of its own.

    Raises:
        DataError: one has not.
    """
    for column in columns:
        if columns.count(column) > 1:
            raise DataError(f"{path}: column {column!r} occurs twice; rename one")
    return tuple(columns)


def _guarded(path: Path, blocks: Iterator[Block]) -> Iterator[Block]:
    with _as_data_error(path):
        yield from blocks


@contextmanager
def _as_data_error(path: Path) -> Iterator[None]:
    """Name the file where the system or pyarrow complains of it."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0][:200]
        raise DataError(f"{path}: cannot be read: {reason}") from error


def _lines(path: Path, stream: BinaryIO) -> Iterator[tuple[str, int]]:
    """The lines with their ends, and the bytes up to each one's end.

    Bytes that are not UTF-8 become halves of surrogate pairs, so that they are noticed row by row.

    Raises:
        DataError: the input is UTF-16, or a line is longer than ``LONGEST_LINE``.
    """
    end = 0
    while line := stream.readline(LONGEST_LINE):
        if end == 0:
            if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise DataError(f"{path}: the file is UTF-16; save it as UTF-8")
            end = len(codecs.BOM_UTF8) if line.startswith(codecs.BOM_UTF8) else 0
            line = line[end:]
        if len(line) == LONGEST_LINE:
            raise DataError(f"{path}: a line is longer than {LONGEST_LINE >> 20} MiB")
        end += len(line)
        yield line.decode("utf-8", "surrogateescape"), end


def _json_rows(lines: Iterator[tuple[str, int]]) -> Iterator[Row]:
    for number, (line, end) in enumerate(lines, 1):
        if not line.strip():
            continue
        values, problem = _object(line)
        yield Row(number, values, problem, end)


def _object(line: str) -> tuple[dict[str, Any], str | None]:
    """The object that a line holds, and what is wrong with it."""
    if _valid(line) != line:
        return {}, "not UTF-8"
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return {}, f"broken JSON: {getattr(error, 'msg', None) or error}"
    return (value, None) if isinstance(value, dict) else ({}, "not a JSON object")


Record = tuple[int, list[str], int]
"""The number of the first line, the fields, and the bytes up to the end."""


def _unquoted(
    path: Path, lines: Iterator[tuple[str, int]], separator: str, refuse: bool
) -> Iterator[Record]:
    """The records of a file in which a quotation mark is text."""
    for number, (line, end) in enumerate(lines, 1):
        line = line.removesuffix("\n").removesuffix("\r")
        if line:
            fields = line.split(separator)
            if refuse and any(field.startswith('"') for field in fields):
                raise _two_readings(path, number)
            yield number, fields, end


def _refuse_quotes(path: Path, stream: BinaryIO) -> None:
    """Go through a TSV file and back to its start, before any work is done.

    Raises:
        DataError: a field begins with a quotation mark.
    """
    for number, line in enumerate(stream, 1):
        if line.startswith((b'"', codecs.BOM_UTF8 + b'"')) or b'\t"' in line:
            raise _two_readings(path, number)
    stream.seek(0)


def _two_readings(path: Path, line: int) -> DataError:
    return DataError(
        f"{path}:{line}: a field begins with a quotation mark, which may be text or quote the "
        "field; add --quoting none (text, as in GLUE's files) or --quoting rfc4180"
    )


def _quoted(path: Path, lines: Iterator[tuple[str, int]], separator: str) -> Iterator[Record]:
    """The records as in RFC 4180."""
    end = 0

    def texts() -> Iterator[str]:
        nonlocal end
        for text, read in lines:
            end = read
            yield text

    reader = csv.reader(texts(), delimiter=separator, strict=True)
    line = 1
    while True:
        limit = csv.field_size_limit(LONGEST_LINE)
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise DataError(
                f"{path}:{line}: {error}; a quotation mark inside a field must be doubled and the "
                "field quoted; add --quoting none if quotation marks are text"
            ) from error
        finally:
            csv.field_size_limit(limit)
        if fields is None:
            return
        if fields:
            yield line, fields, end
        line = reader.line_num + 1


def _rows(records: Iterator[Record], columns: Sequence[str]) -> Iterator[Row]:
    for line, fields, end in records:
        problem = None
        if len(fields) != len(columns):
            problem = f"{len(fields)} fields, the header has {len(columns)}"
        valid = [_valid(field) for field in fields]
        if valid != fields:
            problem = "not UTF-8"
        yield Row(line, dict(zip(columns, valid, strict=False)), problem, end)


def _valid(text: str) -> str:
    """A text in which bytes that are not UTF-8 became the replacement character."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _parquet(path: Path, file: pq.ParquetFile) -> Input:
    schema = file.schema_arrow.remove_metadata()
    columns = _checked(path, schema.names)
    if not columns:
        raise DataError(f"{path}: the file has no columns")
    return Input(str(path), columns, _tables(file), file.metadata.num_rows, schema)


def _tables(file: pq.ParquetFile) -> Iterator[Block]:
    end = 0
    for batch in file.iter_batches(BLOCK_ROWS):
        table = pa.Table.from_batches([batch]).replace_schema_metadata()
        # Rows of a batch have no sizes of their own: they are divided evenly.
        rows = max(1, len(table) * BLOCK_BYTES // max(table.nbytes, BLOCK_BYTES))
        for start in range(0, len(table), rows):
            part = table.slice(start, rows)
            numbers = range(end + 1, end + 1 + len(part))
            end += len(part)
            yield Block(numbers, [None] * len(part), end, table=part)
