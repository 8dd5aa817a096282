"""Rows of an input, as they travel from its reader to the output."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

BLOCK_ROWS = 4096
"""Most rows of a block: what is sorted by length at once, and lost when the process is killed."""

BLOCK_BYTES = 32 << 20
"""A block ends with the row that reaches so many bytes of the input."""


@dataclass(frozen=True)
class Row:
    """A row of a text file.

    Attributes:
        line: number of its first line, from 1.
        values: column -> value; what a malformed row still has.
        problem: why the row cannot be answered; None if it can be read.
        end: bytes of the input up to and with this row.
    """

    line: int
    values: Mapping[str, Any]
    problem: str | None
    end: int


@dataclass(frozen=True)
class Block:
    """Consecutive rows of an input.

    Attributes:
        numbers: of each row, the number by which messages name it: its first line, or in a Parquet
            file its number, from 1.
        problems: of each row, why it cannot be answered; None if it can be read.
        end: how much of the input was read up to the end of the block, in its own unit.
        rows: of each row, column -> value; empty if there is a ``table``.
        table: the rows of a Parquet file, with their types.
    """

    numbers: Sequence[int]
    problems: Sequence[str | None]
    end: int
    rows: Sequence[Mapping[str, Any]] = field(default=())
    table: pa.Table | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    def values(self, columns: Sequence[str]) -> list[tuple[Any, ...]]:
        """Of each row the values of some columns; None where the row has no such column."""
        if self.table is None:
            return [tuple(row.get(column) for column in columns) for row in self.rows]
        lists = [self.table.column(column).to_pylist() for column in columns]
        return list(zip(*lists, strict=True))

    def objects(self, columns: Sequence[str] | None) -> list[dict[str, Any]]:
        """Of each row what it has of some columns, or of all, in the order of the input."""
        if self.table is not None:
            return (self.table if columns is None else self.table.select(columns)).to_pylist()
        if columns is None:
            return [dict(row) for row in self.rows]
        wanted = set(columns)
        return [{name: row[name] for name in row if name in wanted} for row in self.rows]


def blocks_of(rows: Iterable[Row]) -> Iterator[Block]:
    """Divide rows into blocks, always in the same way."""
    start = 0
    collected: list[Row] = []
    for row in rows:
        collected.append(row)
        if len(collected) == BLOCK_ROWS or row.end - start >= BLOCK_BYTES:
            yield _block(collected)
            start, collected = row.end, []
    if collected:
        yield _block(collected)


def _block(rows: Sequence[Row]) -> Block:
    return Block(
        [row.line for row in rows],
        [row.problem for row in rows],
        rows[-1].end,
        [row.values for row in rows],
    )


def with_first(first: Block | None, others: Iterator[Block]) -> Iterator[Block]:
    """Blocks of which the first was already taken."""
    return others if first is None else itertools.chain([first], others)
