"""The arguments of the ``submit`` command."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.console import echo, make_console, one_line


def submit(
    preset: Annotated[str, typer.Argument(help="demo, quick, full ... or a .yaml file")],
    address: Annotated[
        str, typer.Option(help="URL of the cluster's job server, http://127.0.0.1:8265")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key=value, for example seeds=[1,2]")
    ] = None,
    run_dir: Annotated[
        str | None,
        typer.Option(help="run directory on the cluster, for all nodes (/shared/runs/PRESET)"),
    ] = None,
    space: Annotated[
        str | None, typer.Option("--tune", help="search hyperparameters in this space")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="local folder for the tables (runs/cluster/PRESET)")
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="end the grid's running job")] = False,
) -> None:
    """Run a preset on a Ray cluster as a job, follow it, fetch table and report.

    The same command again joins the running job; Ctrl-C leaves it running.
    """
    from orchestrator.submit.package import load, make_request

    overrides = overrides or []
    # A wrong key is reported before the imports below, which take seconds.
    experiment = load(preset, space, overrides)
    request = make_request(experiment, preset, overrides, space, run_dir, sys.argv[1:])
    from orchestrator.submit.submit import submit as send

    raise typer.Exit(
        send(address, request, to, stop, make_console(), lambda line: echo(one_line(line)))
    )
