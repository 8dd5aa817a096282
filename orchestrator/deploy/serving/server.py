"""Starts and stops a server on this machine."""

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ray import serve
from ray.serve.config import HTTPOptions, ProxyLocation
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import LoggingConfig

from orchestrator.deploy.predictor import Predictor
from orchestrator.deploy.serving.deployments import application
from orchestrator.deploy.serving.schema import Limits
from orchestrator.deploy.serving.web import LOOPBACK
from orchestrator.execution.ray import private_api
from orchestrator.execution.ray.cluster import local_ray
from orchestrator.execution.signals import Stop, interrupt, signals
from trainables.errors import ConfigError

REQUEST_SECONDS = 120.0
"""After how long a request that has no answer gets code 408."""

CLOSE_SECONDS = 60.0
"""How long the last requests may take when the server stops."""

SEND_SECONDS = 0.5
"""What the proxy is given to send the last answers."""


@contextmanager
def running(
    folder: Path,
    predictor: Predictor,
    limits: Limits,
    *,
    host: str,
    port: int,
    replicas: int,
    threads: int,
) -> Iterator[None]:
    """A server that answers in the block; at its end what was let in is answered.

    Args:
        folder: the model.
        predictor: the same, opened.
        limits: how much may be asked.
        host: the address to listen at.
        port: the port.
        replicas: processes that compute.
        threads: CPU threads of each.

    Raises:
        ConfigError: the address cannot be listened at.
        ResourceError: Ray cannot be started.
        RayLostError: Ray has died in the block.
    """
    _check_address(host, port)
    logging.getLogger("ray.serve").setLevel(logging.CRITICAL)
    hosts = LOOPBACK if is_loopback(host) else ()
    app = application(
        folder.absolute(),
        dict(predictor.tasks),
        predictor.max_length,
        limits,
        hosts,
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
            yield
        finally:
            end.enter_context(private_api.without_messages())
            with signals(interrupt):
                _close(handle)
                serve.shutdown()


def wait_for_stop() -> None:
    """Return at Ctrl-C or SIGTERM."""
    stop = Stop()
    with signals(stop):
        while not stop.asked:
            time.sleep(0.1)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens at ``host``."""
    return host == "localhost" or host.startswith("127.") or host == "::1"


def _close(handle: DeploymentHandle) -> None:
    handle.close.remote().result(timeout_s=CLOSE_SECONDS)
    time.sleep(SEND_SECONDS)


def _check_address(host: str, port: int) -> None:
    """Raises ConfigError: another program listens there, or this machine has no such address."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((host, port))
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"--host {host} --port {port}: cannot be listened at ({error}); choose another port"
        ) from error
