"""Write the comparison table in every format; the same records give the same bytes."""

import csv
import io
import json
from dataclasses import fields
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from orchestrator.report.markup import latex, markdown
from orchestrator.report.table import Row, Table
from orchestrator.report.terminal import print_table
from orchestrator.text import csv_text
from trainables.atomic import write_text
from trainables.storage.run_dir import RunDir

__all__ = ["FORMATS", "print_table", "table_csv", "table_json", "write_tables"]


def write_tables(run_dir: RunDir, table: Table) -> None:
    """Write ``table.md``, ``.csv``, ``.json`` and ``.tex``, each one atomically."""
    for ending, make in FORMATS.items():
        write_text(run_dir.table(ending), make(table))


def table_json(table: Table) -> str:
    """Everything in the table, as JSON with a ``schema_version``.

    ``verdict`` has the passages in plain sentences. Left out are ``tuned`` and ``tuning`` if no row
    was tuned, ``reference`` if all differences are to ``single_task``, ``comparisons``,
    ``answers``, ``look`` and ``cosines`` if there are none, ``data`` if it is not known, and
    ``costs`` if they were not measured; else that has ``cost.json`` without its rounds.
    """
    content = {
        "verdict" if name == "passages" else name: table.verdict if name == "passages" else value
        for name, value in _values(table).items()
    }
    del content["data"], content["costs"]
    if table.data is not None:
        content["data"] = table.data.model_dump(mode="json")
    if table.costs is not None:
        measured = table.costs.measured.model_dump(
            mode="json", exclude={"deployments": {"__all__": {"rounds"}}}
        )
        content["costs"] = {"measured": measured, "against": table.costs.against}
    for name in ("comparisons", "answers", "look", "cosines"):
        if not content[name]:
            del content[name]
    if not table.tuned:
        content["rows"] = [_values(row, "tuned", "tuning") for row in table.rows]
    if not table.references_differ:
        content["differences"] = [_values(d, "reference") for d in table.differences]
    text = json.dumps(content, default=_values, indent=1, ensure_ascii=False, allow_nan=False)
    return text + "\n"


def _values(of: Any, *without: str) -> dict[str, Any]:
    """The fields of a dataclass, themselves unchanged."""
    return {f.name: getattr(of, f.name) for f in fields(of) if f.name not in without}


def table_csv(table: Table) -> str:
    """One line per row: names, then mean, std and n of every column, as unrounded fractions."""
    lines = [_csv_line(table, row) for row in table.rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _csv_line(table: Table, row: Row) -> dict[str, Any]:
    line: dict[str, Any] = {
        "label": csv_text(row.label),
        "arm": csv_text(row.arm),
        "strategy": row.strategy,
        "model": csv_text(row.model),
        "method": csv_text(row.method),
        "baseline": row.baseline,
    }
    if table.tuned:
        line["tuned"] = row.tuned
    for column in table.columns:
        stat = row.cells[column.key].stat
        name = csv_text(column.key)
        line[f"{name}.mean"] = None if stat is None else stat.mean
        line[f"{name}.std"] = None if stat is None else stat.std
        line[f"{name}.n"] = None if row.baseline else (0 if stat is None else stat.n)
    line["seeds_complete"] = None if row.baseline else row.seeds_complete
    line["seeds_planned"] = None if row.baseline else row.seeds_planned
    line["models"] = None if row.baseline else row.models
    line["parameters"] = row.parameters
    numbers = {*row.notes, *(n for cell in row.cells.values() for n in cell.notes)}
    notes = " | ".join(note.text for note in table.notes if note.number in numbers)
    line["notes"] = csv_text(notes)
    return line


def templates() -> Environment:
    """The report's HTML templates; every text that enters them is escaped."""
    return Environment(
        loader=PackageLoader("orchestrator.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


FORMATS = {
    "md": markdown,
    "csv": table_csv,
    "json": table_json,
    "tex": latex,
}
"""Ending of the table's file -> function that makes its content."""
