"""All that is used of Ray's private API, in one place: what a new version of Ray may break.

Written for the version of Ray that ``requirements.txt`` pins.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray._common.tls_utils import load_certs_from_env
from ray._common.utils import get_default_system_temp_dir
from ray._private import ray_constants, worker
from ray._private import utils as ray_utils
from ray._private.authentication.authentication_utils import is_token_auth_enabled
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]
from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc
from ray.tune.execution import class_cache

CheckAliveRequest = gcs_service_pb2.CheckAliveRequest  # type: ignore[attr-defined]
NodeInfo = gcs_service_pb2_grpc.NodeInfoGcsServiceStub

PROPAGATED_VARIABLES: set[str] = class_cache.ENV_VARS_TO_PROPAGATE
"""Names of the variables of this shell that Tune sends to all workers."""


def driver_node() -> Any:
    """Ray's ``Node`` of this process; None if Ray is not running."""
    return worker._global_node


def dashboard_url() -> str | None:
    """``HOST:PORT`` of the dashboard of this process's Ray; None if it has none."""
    node = driver_node()
    return node.webui_url if node else None


def temporary_folder() -> Path:
    """Where Ray keeps its sessions by default."""
    return Path(get_default_system_temp_dir())


def tls_certificates() -> tuple[Any, Any, Any]:
    """Certificate chain, key and certificate authority that the environment names."""
    return load_certs_from_env()


def token() -> tuple[bool, str | None]:
    """Whether this shell asks for token authentication, and the token; None if there is none.

    Raises:
        ray.exceptions.AuthenticationError: the token cannot be read.
    """
    loader = AuthenticationTokenLoader.instance()
    enabled = is_token_auth_enabled()
    present = enabled and loader.has_token(ignore_auth_mode=True)
    return enabled, loader.get_raw_token(ignore_auth_mode=True) if present else None


def forget_token() -> None:
    """Let Ray read its token anew."""
    AuthenticationTokenLoader.instance().reset_cache()


def reload_settings() -> None:
    """Let Ray read the settings of the environment anew."""
    Config.initialize("")


def keep_aws_keys_here() -> None:
    """Keep Tune from sending this shell's AWS keys to all workers, where Ray would log them."""
    PROPAGATED_VARIABLES.difference_update({n for n in PROPAGATED_VARIABLES if "AWS_" in n})


@contextmanager
def loopback_only() -> Iterator[None]:
    """Let every server of a Ray that starts in the block listen on 127.0.0.1 alone."""
    before = ray_constants.ENABLE_RAY_CLUSTER
    # Ray's own switch for machines that are no part of a cluster.
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def without_sigterm_handler() -> Iterator[None]:
    """Keep Ray from handling SIGTERM, which it does by exiting and leaving its agents behind."""
    before = ray_utils.set_sigterm_handler
    ray_utils.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        ray_utils.set_sigterm_handler = before


def close_replica_port() -> None:
    """Keep this process, a replica of Ray Serve that is being made, from opening a port.

    On every interface and without a token, Ray would unpickle there what anyone sends. The port is
    for calls among deployments by gRPC, which are off: they go through Ray itself.
    """
    from ray.serve._private import replica

    replica.add_port_to_grpc_server = lambda *arguments: 0  # pyright: ignore


@contextmanager
def without_messages() -> Iterator[None]:
    """Let Ray print nothing of what it reports: Serve's end, for one, looks like a failure."""
    before = worker.print_to_stdstream
    worker.print_to_stdstream = lambda data, ignore_prefix: None
    try:
        yield
    finally:
        worker.print_to_stdstream = before
