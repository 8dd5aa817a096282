"""Data files in every format."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ENDINGS = ("csv", "tsv", "jsonl", "parquet")
TYPED = ("jsonl", "parquet")
"""The formats whose values have types."""


def write(path: Path, columns: list[str], rows: list[tuple[Any, ...]]) -> Path:
    """Write the rows in the format of the path's ending."""
    if path.suffix in (".csv", ".tsv"):
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="," if path.suffix == ".csv" else "\t")
            writer.writerows([columns, *rows])
    elif path.suffix == ".jsonl":
        lines = [json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows]
        path.write_text("".join(lines), encoding="utf-8")
    else:
        arrays = [pa.array(column) for column in zip(*rows, strict=True)]
        pq.write_table(pa.table(arrays, names=columns), path)
    return path
