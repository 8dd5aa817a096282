"""The arguments of the ``predict`` command."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from orchestrator.cli.console import echo, one_line

if TYPE_CHECKING:
    from orchestrator.deploy.bulk.prediction import Summary

ModelFolder = Annotated[
    Path, typer.Argument(metavar="MODEL", help="an export, or models/KEY of a run directory")
]


def predict(
    model: ModelFolder,
    source: Annotated[
        str, typer.Option("--input", help=".csv, .tsv, .jsonl or .parquet; - for standard input")
    ],
    target: Annotated[
        str, typer.Option("--output", help="the same endings; - for standard output")
    ],
    text: Annotated[str | None, typer.Option(help="column of the only or first text")] = None,
    text_pair: Annotated[str | None, typer.Option(help="column of the second text")] = None,
    tasks: Annotated[
        str | None, typer.Option(help="A,B: those to answer (default: all that fit the columns)")
    ] = None,
    keep: Annotated[
        str | None, typer.Option(help="A,B: the input's columns to write too (default: all)")
    ] = None,
    input_format: Annotated[str | None, typer.Option(help="csv, tsv, jsonl or parquet")] = None,
    output_format: Annotated[str | None, typer.Option(help="csv, tsv, jsonl or parquet")] = None,
    quoting: Annotated[
        Literal["none", "rfc4180"] | None,
        typer.Option(help="whether quotation marks quote fields, or are text (none)"),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="end at the first row that cannot be answered")
    ] = False,
) -> None:
    """Answer every row of a file with all heads of a model.

    The same command goes on after an interruption. Exit code 1: rows without an answer.
    """
    from orchestrator.commands.predict import predict as predict_all
    from orchestrator.deploy.bulk.prediction import Request

    request = Request(
        source=source,
        target=target,
        text=text,
        text_pair=text_pair,
        tasks=_names(tasks),
        keep=_names(keep),
        source_format=input_format,
        target_format=output_format,
        quoting=quoting,
        strict=strict,
    )
    try:
        summary = predict_all(model, request, Console(stderr=True))
    except KeyboardInterrupt:
        echo("interrupted; the same command goes on with what is finished")
        raise typer.Exit(130) from None
    _print(summary, target)


def _names(listed: str | None) -> tuple[str, ...] | None:
    if listed is None:
        return None
    return tuple(name.strip() for name in listed.split(",") if name.strip())


def _print(summary: "Summary", target: str) -> None:
    """Say on standard error what was answered and what was not; exit code 1 if rows were not."""
    answered = f"{', '.join(summary.tasks)} from {', '.join(summary.texts)}"
    if summary.skipped:
        answered += f" (not {', '.join(summary.skipped)})"
    echo(one_line(f"tasks: {answered}"))
    for reason in summary.reasons:
        echo(f"no answer: {one_line(reason)}")
    if summary.bad > len(summary.reasons):
        echo(f"no answer: {summary.bad - len(summary.reasons):,} more rows; see the column error")
    if summary.late:
        late = ", ".join(sorted(summary.late)[:20])
        echo(
            one_line(f"warning: not in the output, as the first rows have no such columns: {late}")
        )
    resumed = f", {summary.resumed:,} of them by an interrupted command" if summary.resumed else ""
    where = "" if target == "-" else f"; wrote {target}"
    echo(f"{summary.rows:,} rows{resumed}, {summary.bad:,} without an answer{where}")
    if summary.bad:
        raise typer.Exit(1)
