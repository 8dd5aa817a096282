"""Starts and stops a server on this machine."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ray import serve
from ray.serve.config import HTTPOptions, ProxyLocation
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import LoggingConfig

from orchestrator.deploy.predictor import Predictor
from orchestrator.deploy.serving.deployments import application
from orchestrator.deploy.serving.schema import Limits
from orchestrator.execution.ray import private_api
from orchestrator.execution.ray.cluster import local_ray
from orchestrator.execution.signals import Stop, interrupt, signals

REQUEST_SECONDS = 120.0
"""After how long a request that has no answer gets code 408."""

CLOSE_SECONDS = 60.0
"""How long the last requests may take when the server stops."""

SEND_SECONDS = 0.5
"""What the proxy is given to send the last answers."""


@dataclass
class Answered:
    """What a server did.

    Attributes:
        requests: how many were let in and answered, when it has stopped.
    """

    requests: int = 0


@contextmanager
def running(
    folder: Path,
    predictor: Predictor,
    limits: Limits,
    *,
    host: str,
    port: int,
    names: Sequence[str],
    replicas: int,
    threads: int,
) -> Iterator[Answered]:
    """A server that answers in the block; at its end what was let in is answered.

    Args:
        folder: the model.
        predictor: the same, opened.
        limits: how much may be asked.
        host: the address to listen at.
        port: the port.
        names: see ``Web``.
        replicas: processes that compute.
        threads: CPU threads of each.

    Raises:
        ResourceError: Ray cannot be started.
        RayLostError: Ray has died in the block.
    """
    logging.getLogger("ray.serve").setLevel(logging.CRITICAL)
    answered = Answered()
    app = application(
        folder.absolute(),
        dict(predictor.tasks),
        predictor.max_length,
        limits,
        names,
        replicas=replicas,
        threads=threads,
    )
    with ExitStack() as end, local_ray(cpus=replicas * threads):
        serve.start(
            ProxyLocation.HeadOnly,
            HTTPOptions(host=host, port=port, request_timeout_s=REQUEST_SECONDS),
            logging_config=LoggingConfig(log_level="ERROR", enable_access_log=False),
        )
        handle = serve.run(app, name="one-model-or-many", route_prefix="/")
        try:
            yield answered
        finally:
            end.enter_context(private_api.without_messages())
            with signals(interrupt):
                answered.requests = _close(handle)
                serve.shutdown()


def wait_for_stop() -> None:
    """Return at Ctrl-C or SIGTERM."""
    stop = Stop()
    with signals(stop):
        while not stop.asked:
            time.sleep(0.1)


def _close(handle: DeploymentHandle) -> int:
    """Let nobody in any more; returns how many were let in, when all of them are answered."""
    answered = handle.close.remote().result(timeout_s=CLOSE_SECONDS)
    time.sleep(SEND_SECONDS)
    return answered
