"""Starts Ray on this machine or joins a running cluster."""

import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import ray
from ray.exceptions import AuthenticationError
from ray.job_config import JobConfig

import orchestrator
import search_spaces
import trainables
from orchestrator.config.experiment import ExperimentConfig
from orchestrator.execution.ray import private_api
from orchestrator.execution.ray.auth import secure_token, session_folder, token_location
from orchestrator.execution.ray.nodes import devices_of
from orchestrator.execution.ray.watchdog import watched
from orchestrator.execution.signals import Stop, interrupt, signals
from orchestrator.planning.resources import Node, this_machine
from orchestrator.run_dir.environment import git_commit
from trainables.config.trial import CODE_SCHEMA
from trainables.errors import ResourceError

private_api.keep_aws_keys_here()

CODE = (orchestrator, search_spaces, trainables)

ANSWER_SECONDS = 5.0
"""How long a cluster may take to answer."""


@contextmanager
def connected(
    experiment: ExperimentConfig, run_dir: str | None = None, machine: Node | None = None
) -> Iterator[list[Node]]:
    """Start Ray on this machine or join the cluster at ``ray.address``; yields nodes with CPUs.

    A Ray that is started here listens on the loopback interface alone and asks for a token.

    Args:
        experiment: names the cluster, if any.
        run_dir: shown by Ray's dashboard and job list; None: nothing is run.
        machine: CPUs and GPUs that a Ray started here is given; None: those of this machine.

    Raises:
        ResourceError: the cluster cannot be reached, asks for another token, or has no such node.
        RayLostError: Ray has died in the block.
    """
    address = experiment.ray.address
    here: Node | None = None
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    options["job_config"] = JobConfig(metadata=job_metadata(experiment, run_dir))
    if address is None:
        here = machine or this_machine()
        options |= _local_options(here.cpus, here.gpus, dashboard=experiment.ray.dashboard)
    elif "://" in address:
        raise ResourceError(
            f"ray.address={address}: Ray Client cannot run a grid; give HOST:PORT of the head "
            "node (6379), or submit the command with ray job submit and ray.address=auto"
        )
    else:
        _check_address(address)
        options |= {"address": address, "runtime_env": runtime_environment()}
    stop = Stop()
    with signals(interrupt), _loopback_with_token(address is None):
        try:
            try:
                # Left half-way, a start on this machine would leave processes behind.
                with (
                    signals(stop if address is None else interrupt),
                    private_api.without_sigterm_handler(),
                ):
                    ray.init(**options)
                stop.check()
            # Ray raises a bare Exception where a node does not come up in time.
            except Exception as error:
                reason = " ".join(str(error).split())
                if address is None:
                    raise ResourceError(f"Ray cannot be started: {reason}") from error
                raise ResourceError(f"ray.address={address}: cannot be joined: {reason}") from error
            by_id = {
                node["NodeID"]: Node(
                    int(node["Resources"]["CPU"]),
                    int(node["Resources"].get("GPU", 0)),
                    node["Resources"].get("memory", 0) / 1e9,
                )
                for node in ray.nodes()
                if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
            }
            if here is None:
                found = _with_devices(by_id, experiment)
            else:
                found = {
                    name: replace(here, cpus=node.cpus, gpus=node.gpus, memory=node.memory)
                    for name, node in by_id.items()
                }
            nodes = list(found.values())
            if not nodes:
                raise ResourceError(f"ray.address={address}: the cluster has no node with CPUs")
            with watched(private_api.driver_node()):
                yield nodes
        finally:
            with signals(signal.SIG_IGN):
                ray.shutdown()


@contextmanager
def local_ray(cpus: int) -> Iterator[None]:
    """A Ray of this machine alone, without GPUs, for other things than trials.

    Args:
        cpus: how many it has to give away.

    Raises:
        ResourceError: it cannot be started.
        RayLostError: it has died in the block.
    """
    options = _local_options(cpus, 0, dashboard=False)
    with _loopback_with_token(True), signals(interrupt):
        try:
            try:
                with private_api.without_sigterm_handler():
                    ray.init(**options, log_to_driver=False, logging_level=logging.CRITICAL)
            # Ray raises a bare Exception where a node does not come up in time.
            except Exception as error:
                reason = " ".join(str(error).split())
                raise ResourceError(f"Ray cannot be started: {reason}") from error
            with watched(private_api.driver_node()):
                yield
        finally:
            with signals(signal.SIG_IGN):
                ray.shutdown()


def _local_options(cpus: int, gpus: int, *, dashboard: bool) -> dict[str, Any]:
    """Arguments of ``ray.init`` for a Ray of this machine, whose token exists afterwards."""
    secure_token()
    return {
        # Without it, RAY_ADDRESS or a Ray that runs here already would be joined.
        "address": "local",
        "num_cpus": cpus,
        "num_gpus": gpus,
        "include_dashboard": dashboard,
        "dashboard_host": "127.0.0.1",
        "_temp_dir": str(session_folder(private_api.temporary_folder())),
    }


def _with_devices(nodes: dict[str, Node], experiment: ExperimentConfig) -> dict[str, Node]:
    """The nodes of a cluster with what they compute with, where something depends on it."""
    formats, memory = experiment.training.precision == "auto", experiment.resources.gpu == "auto"
    asked = [name for name, node in nodes.items() if formats or (memory and node.gpus)]
    devices = {name: d for name, d in devices_of(asked).items() if d is not None}
    return nodes | {
        name: replace(
            nodes[name], gpu_memory=found.gpu_memory, bf16=found.bf16, gpu_bf16=found.gpu_bf16
        )
        for name, found in devices.items()
    }


def dashboard() -> str | None:
    """A line with the address of Ray's dashboard; None if it has none."""
    url = private_api.dashboard_url()
    return (
        f"Ray dashboard: http://{url} (log in with the token in {token_location()})"
        if url
        else None
    )


def job_metadata(experiment: ExperimentConfig, run_dir: str | None) -> dict[str, str]:
    """The metadata of this job in Ray's list of jobs."""
    metadata = {
        "experiment": experiment.name,
        "run_directory": run_dir,
        "commit": git_commit(),
        "code_schema": str(CODE_SCHEMA),
    }
    return {name: value for name, value in metadata.items() if value is not None}


@contextmanager
def _loopback_with_token(local: bool) -> Iterator[None]:
    """Make a Ray that is started here reachable from this machine alone, and only with the token.

    ``RAY_AUTH_MODE`` of the shell counts for clusters that are joined.
    """
    if not local:
        yield
        return
    mode = os.environ.pop("RAY_AUTH_MODE", None)
    private_api.forget_token()
    try:
        with private_api.loopback_only():
            yield
    finally:
        os.environ.pop("RAY_AUTH_MODE", None)
        if mode is not None:
            os.environ["RAY_AUTH_MODE"] = mode
        private_api.reload_settings()


def _check_address(address: str) -> None:
    """Check within seconds that a cluster accepts us; Ray itself tries for minutes.

    The first request has no token, to tell a cluster without authentication from one that
    accepts ours.

    Raises:
        ResourceError: nothing listens at ``HOST:PORT``, it is no Ray, or the tokens do not fit.
    """
    host, colon, port = address.rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, ValueError, OverflowError) as error:
        raise ResourceError(
            f"ray.address={address}: cannot be reached ({error}); give HOST:PORT of the head node"
        ) from error
    advice = "set RAY_AUTH_MODE=token and its token in RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
    try:
        enabled, token = private_api.token()
    except AuthenticationError as error:
        raise ResourceError(f"ray.address={address}: {error.message}; {advice}") from error
    if _accepts(address, None):
        if enabled:
            raise ResourceError(
                f"ray.address={address}: RAY_AUTH_MODE=token is set here, but this cluster lets "
                "anyone in; start it with RAY_AUTH_MODE=token, or set RAY_AUTH_MODE=disabled here"
            )
    elif token is None:
        raise ResourceError(f"ray.address={address}: the cluster asks for a token; {advice}")
    elif not _accepts(address, token):
        raise ResourceError(
            f"ray.address={address}: the cluster refuses the token in {token_location()}; {advice}"
        )


def _accepts(address: str, token: str | None) -> bool:
    """Whether the head node at ``address`` answers a harmless request with this token.

    Raises:
        ResourceError: what listens there is no head node.
    """
    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        chain, key, authority = private_api.tls_certificates()
        credentials = grpc.ssl_channel_credentials(authority, key, chain)
        channel = grpc.secure_channel(address, credentials)
    else:
        channel = grpc.insecure_channel(address, (("grpc.enable_http_proxy", 0),))
    metadata = () if token is None else (("authorization", f"Bearer {token}"),)
    try:
        with channel:
            private_api.NodeInfo(channel).CheckAlive(
                private_api.CheckAliveRequest(),
                timeout=ANSWER_SECONDS,
                metadata=metadata,
            )
    except grpc.RpcError as error:
        code = error.code()  # type: ignore[attr-defined]
        if code is grpc.StatusCode.UNAUTHENTICATED:
            return False
        raise ResourceError(
            f"ray.address={address}: something listens there that is no head node of a Ray "
            f"cluster ({code.name}); give HOST:PORT of the head node (6379)"
        ) from error
    return True


def runtime_environment() -> dict[str, Any]:
    """The code and the variables of this shell that trials on other machines need."""
    settings = (
        "HF_HUB_OFFLINE",
        "ONE_OR_MANY_CACHE",
        "WANDB_MODE",
        "RAY_CHDIR_TO_TRIAL_DIR",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO",
        "RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES",
    )
    return {
        "py_modules": [str(Path(str(module.__file__)).parent) for module in CODE],
        "env_vars": {name: os.environ[name] for name in settings if name in os.environ},
    }
