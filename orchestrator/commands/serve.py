"""The ``serve`` command: a deployed model behind HTTP until it is stopped."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.deploy.open import open_predictor
from orchestrator.deploy.serving.schema import Limits
from trainables.errors import ConfigError


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


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        tasks: the model's tasks.
        loopback: whether this machine alone can reach it.
        wait: returns at Ctrl-C or SIGTERM.
    """

    tasks: tuple[str, ...]
    loopback: bool
    wait: Callable[[], None]


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
    predictor = open_predictor(model)
    try:
        from orchestrator.deploy.serving.server import is_loopback, running, wait_for_stop
    except ImportError as error:
        raise ConfigError(
            f"serve: Ray Serve is not installed ({error}): pip install -r requirements-serve.txt, "
            "or the extra [serve]"
        ) from error
    threads = options.threads or max(1, len(os.sched_getaffinity(0)) // options.replicas)
    with running(
        Path(model),
        predictor,
        options.limits,
        host=options.address.host,
        port=options.address.port,
        replicas=options.replicas,
        threads=threads,
    ):
        yield Server(tuple(predictor.tasks), is_loopback(options.address.host), wait_for_stop)
