"""The arguments of the ``serve`` command."""

from typing import Annotated

import typer

from orchestrator.cli.console import echo
from orchestrator.cli.predict import ModelFolder


def serve(
    model: ModelFolder,
    host: Annotated[str, typer.Option(help="address to listen at")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    replicas: Annotated[
        int, typer.Option(min=1, help="processes that compute, each with the whole model")
    ] = 1,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of each (default: all, divided)")
    ] = None,
    max_body: Annotated[int, typer.Option(min=1, help="KiB of a request")] = 1024,
    max_inputs: Annotated[int, typer.Option(min=1, max=256, help="examples of a request")] = 128,
    max_characters: Annotated[int, typer.Option(min=1, help="of a text")] = 20_000,
    max_requests: Annotated[
        int, typer.Option(min=1, help="answered at once; more get code 429")
    ] = 256,
) -> None:
    """Answer requests over HTTP, with a page to try the model, until Ctrl-C or SIGTERM."""
    from orchestrator.commands.serve import Address, Options, serving
    from orchestrator.deploy.serving.schema import Limits

    limits = Limits(max_body * 1024, max_inputs, max_characters, max_requests)
    address = Address(host, port)
    options = Options(address, replicas, threads, limits)
    with serving(model, options) as server:
        if not address.loopback:
            echo(
                f"warning: whoever reaches {host} can ask the model: there is no login; put a "
                "proxy with one before it"
            )
        print(f"serving {', '.join(server.tasks)} at {address.url} (Ctrl-C ends it)", flush=True)
        server.wait()
    print(f"stopped: every request that was let in is answered, {server.answered:,} of them")
