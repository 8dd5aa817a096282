"""The ``serve`` command: a deployed model behind HTTP until it is stopped."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.deploy.open import open_predictor
from orchestrator.deploy.serving.schema import Limits
from trainables.errors import ConfigError

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
"""Names by which a server that listens there may be addressed."""


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Attributes:
        host: the address; by default this machine alone can reach it.
        port: the port.
    """

    host: str = "127.0.0.1"
    port: int = 8000

    @property
    def url(self) -> str:
        """For a browser on this machine."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def check(self) -> None:
        """Raises ConfigError: another program listens there, or this machine has no such host."""
        try:
            family = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0][0]
            with socket.socket(family, socket.SOCK_STREAM) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                tried.bind((self.host, self.port))
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"--host {self.host} --port {self.port}: cannot be listened at ({error}); choose "
                "another port"
            ) from error


@dataclass(frozen=True)
class Options:
    """How a model is served.

    Attributes:
        address: where.
        replicas: processes that compute, each with the whole model.
        threads: CPU threads of each; None: those of the machine, divided among the replicas.
        limits: how much may be asked.
    """

    address: Address = field(default_factory=Address)
    replicas: int = 1
    threads: int | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass
class Server:
    """A server that answers.

    Attributes:
        tasks: the model's tasks.
        wait: returns at Ctrl-C or SIGTERM.
        answered: how many requests were let in and answered, when it has stopped.
    """

    tasks: tuple[str, ...]
    wait: Callable[[], None]
    answered: int = 0


@contextmanager
def serving(model: Path | str, options: Options) -> Iterator[Server]:
    """Serve a model in the block, which begins when it answers.

    At the end, requests that were let in are answered first.

    Args:
        model: an export, or ``models/KEY`` of a run directory.
        options: how.

    Raises:
        EncoderError: the folder holds no model, or a damaged one.
        ConfigError: Ray Serve is not installed, or the address cannot be listened at.
        ResourceError: Ray cannot be started.
        RayLostError: Ray has died in the block.
    """
    options.address.check()
    predictor = open_predictor(model)
    try:
        from orchestrator.deploy.serving.server import running, wait_for_stop
    except ImportError as error:
        raise ConfigError(
            f"serve: Ray Serve is not installed ({error}): pip install -r requirements-deploy.txt, "
            "or the extra [deploy]"
        ) from error
    threads = options.threads or max(1, len(os.sched_getaffinity(0)) // options.replicas)
    with running(
        Path(model),
        predictor,
        options.limits,
        host=options.address.host,
        port=options.address.port,
        names=LOOPBACK if options.address.loopback else (),
        replicas=options.replicas,
        threads=threads,
    ) as answered:
        server = Server(tuple(predictor.tasks), wait_for_stop)
        yield server
    server.answered = answered.requests
