"""Prints a command's outcome, its warnings on standard error, and sets its exit code."""

import os
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from orchestrator.text import size as bytes_text
from trainables.errors import RenamedKeyWarning, RunDirectoryError
from trainables.secrets import redacted

if TYPE_CHECKING:
    from orchestrator.commands.export import Exported
    from orchestrator.commands.report import Outcome
    from orchestrator.commands.submission import Submission
    from orchestrator.commands.tune_report import TuningOutcome


@contextmanager
def hint_on_interrupt(where: Path | str) -> Iterator[None]:
    """On Ctrl-C, print the command that resumes, and exit with code 130."""
    try:
        yield
    except KeyboardInterrupt:
        echo(
            f"interrupted; finished trials are kept in {where}\n"
            f"continue with: python -m orchestrator {shlex.join(sys.argv[1:])}"
        )
        raise typer.Exit(130) from None


def finish_tuning(
    console: Console, where: Path | str, outcome: "TuningOutcome", *, as_json: bool = False
) -> None:
    """Print the outcome of a search; exit with code 1 if something failed or is missing.

    With ``as_json``, the table of its comparison alone, as JSON.

    Raises:
        RunDirectoryError: nothing is compared yet that could be printed as JSON.
    """
    from orchestrator.commands.report import shown
    from orchestrator.report.tuning.report import print_tuning

    if as_json and outcome.compared is None:
        raise RunDirectoryError(
            f"{shown(where)}: this search has no comparison yet; tuning.json has what it found"
        )
    if not as_json:
        print_tuning(console, outcome.summary, outcome.changes)
    for record in outcome.failed:
        echo(f"{record.status}: trial {record.key} of the search: {record.error}")
    _echo_warnings(outcome)
    if outcome.compared is not None:
        if not as_json:
            console.print()
        finish(console, where, outcome.compared, as_json=as_json)
    else:
        console.print(f"run directory: {shown(where)}", markup=False, soft_wrap=True)
    if outcome.failed or outcome.damaged:
        raise typer.Exit(1)


def finish(
    console: Console, where: Path | str, outcome: "Outcome", *, as_json: bool = False
) -> None:
    """Print the outcome of a grid; exit with code 1 if something failed or is missing.

    With ``as_json``, the content of ``table.json`` in place of the table.
    """
    from orchestrator.commands.report import next_commands, shown

    lines = [f"next: {line}" for line in next_commands(where, outcome.table)]
    _finish(console, [f"run directory: {shown(where)}", *lines], outcome, as_json=as_json)


def finish_comparison(console: Console, out: Path | str | None, outcome: "Outcome") -> None:
    """Print the outcome of several grids; exit with code 1 if something failed or is missing."""
    from orchestrator.commands.report import shown

    _finish(console, [] if out is None else [f"files: {shown(out)}"], outcome)


def _finish(
    console: Console, places: Sequence[str], outcome: "Outcome", *, as_json: bool = False
) -> None:
    from orchestrator.report.render import print_table, table_json

    if as_json:
        sys.stdout.write(table_json(outcome.table))
    else:
        print_table(console, outcome.table)
    for record in outcome.failed:
        echo(f"{record.status}: {record.title}: {record.error}")
    for line in outcome.missing:
        echo(f"no result: {line}")
    _echo_warnings(outcome)
    for line in () if as_json else places:
        console.print(line, markup=False, soft_wrap=True)
    if outcome.failed or outcome.missing or outcome.damaged:
        raise typer.Exit(1)


def print_submission(made: "Submission") -> None:
    """Print which files hold predictions, which a constant, and which tasks are in none."""
    print(f"{made.title}: {made.folder}")
    for file, (examples, key) in made.answered.items():
        print(f"{file}.tsv: {examples} predictions of trial {key}")
    for file, (constant, reason) in made.filled.items():
        print(f"{file}.tsv: {constant} in every line: {reason}")
    for task in made.left_out:
        print(f"task {one_line(task)}: is none of GLUE's, left out")


MOST_ROWS = 20
"""Examples with another label that are printed; export.json has all."""


def print_export(console: Console, made: "Exported") -> None:
    """Print what was written, how it compares, and which examples get another label."""
    print(f"{made.title}: {made.folder}")
    for inside, model in made.models.items():
        folder = made.folder if inside == "." else made.folder / inside
        size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        print(f"{one_line(folder)}: {', '.join(map(one_line, model.tasks))}, {bytes_text(size)}")
    table = RichTable("task", "beside", *_COMPARED, box=MARKDOWN)
    lines = []
    for model in made.models.values():
        for task, comparisons in model.checks.items():
            for own in comparisons:
                table.add_row(
                    Text(one_line(task)),
                    own.beside,
                    f"{own.examples:,}",
                    str(len(own.different)),
                    f"{own.largest_difference:.2g}",
                )
                lines += [
                    f"{one_line(task)} row {row.row}: {one_line(row.expected)} ({own.beside}), "
                    f"{one_line(row.predicted)} (export); margin {row.margin:.2g}"
                    for row in own.different
                ]
    console.print(table)
    for line in lines[:MOST_ROWS]:
        print(line)
    if len(lines) > MOST_ROWS:
        print(f"and {len(lines) - MOST_ROWS} more: export.json")
    for address in made.addresses:
        print(f"uploaded: {address}")


_COMPARED = ("examples", "other labels", "largest difference")


def _echo_warnings(outcome: "Outcome | TuningOutcome") -> None:
    for line in outcome.damaged:
        echo(f"damaged: {one_line(line)}")
    for line in outcome.warnings:
        echo(f"warning: {line}")


def show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *where: Any
) -> None:
    """``warnings.showwarning`` with one line for a warning that is meant for users."""
    if issubclass(category, RenamedKeyWarning):
        echo(f"warning: {one_line(message)}")
    else:
        print(warnings.formatwarning(message, category, filename, lineno), file=sys.stderr, end="")


def echo(message: str) -> None:
    """Print a line on standard error."""
    print(message, file=sys.stderr, flush=True)


def one_line(message: object) -> str:
    """A message with line ends and other control characters made visible.

    Users' values may hold them. Secrets of the environment are removed, and what is longer than
    1,000 characters is cut.
    """
    visible = "".join(c if c.isprintable() else repr(c)[1:-1] for c in redacted(str(message)))
    return visible if len(visible) <= 1000 else visible[:997] + "..."


def make_console() -> Console:
    """Standard output; in a pipe or file, lines are wide enough for the whole table."""
    own_width = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Console(width=None if own_width else 120)
