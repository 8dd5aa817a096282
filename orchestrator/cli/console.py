"""The end of a command: what it shows, what it says on standard error, its exit code."""

import os
import shlex
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from trainables.errors import RenamedKeyWarning
from trainables.secrets import redacted

if TYPE_CHECKING:
    from orchestrator.commands.run import Outcome
    from orchestrator.commands.tune_report import TuningOutcome


@contextmanager
def told_how_to_continue(where: Path | str) -> Iterator[None]:
    """Ctrl-C ends the command with exit code 130 and the words that go on."""
    try:
        yield
    except KeyboardInterrupt:
        say(
            f"interrupted; finished trials are kept in {where}\n"
            f"continue with: python -m orchestrator {shlex.join(sys.argv[1:])}"
        )
        raise typer.Exit(130) from None


def conclude_tuning(console: Console, where: Path | str, outcome: "TuningOutcome") -> None:
    """Show what a search came to; leaves with exit code 1 where something is missing."""
    from orchestrator.commands.run import shown
    from orchestrator.report.tuning.report import print_tuning

    print_tuning(console, outcome.summary, outcome.changes)
    for record in outcome.failed:
        say(f"{record.status}: trial {record.key} of the search: {record.error}")
    _tell_what_is_wrong(outcome)
    if outcome.compared is not None:
        console.print()
        conclude(console, where, outcome.compared)
    else:
        console.print(f"run directory: {shown(where)}", markup=False, soft_wrap=True)
    if outcome.failed or outcome.damaged:
        raise typer.Exit(1)


def conclude(console: Console, where: Path | str, outcome: "Outcome") -> None:
    """Show what a grid came to; leaves with exit code 1 where something is missing."""
    from orchestrator.commands.run import shown
    from orchestrator.report.render import print_table

    print_table(console, outcome.table)
    for record in outcome.failed:
        say(f"{record.status}: {record.title}: {record.error}")
    for line in outcome.missing:
        say(f"no result: {line}")
    _tell_what_is_wrong(outcome)
    console.print(f"run directory: {shown(where)}", markup=False, soft_wrap=True)
    if outcome.failed or outcome.missing or outcome.damaged:
        raise typer.Exit(1)


def _tell_what_is_wrong(outcome: "Outcome | TuningOutcome") -> None:
    for line in outcome.damaged:
        say(f"damaged: {one_line(line)}")
    for line in outcome.warnings:
        say(f"warning: {line}")


def show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *where: Any
) -> None:
    """``warnings.showwarning`` with one line for a warning that is meant for users."""
    if issubclass(category, RenamedKeyWarning):
        say(f"warning: {one_line(message)}")
    else:
        print(warnings.formatwarning(message, category, filename, lineno), file=sys.stderr, end="")


def say(message: str) -> None:
    """A line on standard error."""
    print(message, file=sys.stderr, flush=True)


def one_line(message: object) -> str:
    """A message with line ends and other control characters, which users' values may hold, shown.

    Secrets of the environment are left out; what is longer than 1,000 characters is cut.
    """
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in redacted(str(message)))
    return shown if len(shown) <= 1000 else shown[:997] + "..."


def make_console() -> Console:
    """Standard output; a pipe or file gets lines of a width that shows the table whole."""
    asked = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Console(width=None if asked else 120)
