"""Ray for a grid: started on this machine, or a running cluster that is joined.

Imported before Ray by whatever uses Ray here: the settings below count when Ray is imported.
"""

import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

# What goes wrong is told by records and by the live view; Ray would print a screenful of it.
os.environ["RAY_DEDUP_LOGS_SKIP_REGEX"] = "."
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
os.environ["RAY_NUM_REDIS_GET_RETRIES"] = "1"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Each trial writes its own record and progress; Tune's loggers would write them again.
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
# In a Ray job this shell's settings come on top of the job's; Ray would refuse one that both have.
os.environ["RAY_OVERRIDE_JOB_RUNTIME_ENV"] = "1"
# A trial sees the GPU that it was given and no other; without this, one that was given none sees
# all of them.
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "1"
os.environ["RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"] = "0"
# Ctrl-C is ours: Tune's own handler makes ``fit`` return as if all were done.
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"

import grpc
import ray
from ray._common.tls_utils import load_certs_from_env
from ray._common.utils import get_default_system_temp_dir
from ray._private import ray_constants, worker
from ray._private import utils as ray_utils
from ray._private.authentication.authentication_utils import is_token_auth_enabled
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]
from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc
from ray.exceptions import AuthenticationError
from ray.job_config import JobConfig
from ray.tune.execution import class_cache

import orchestrator
import search_spaces
import trainables
from orchestrator.config.experiment import ExperimentConfig
from orchestrator.execution.ray.auth import secure_token, session_folder, token_place
from orchestrator.execution.ray.nodes import gpu_memory
from orchestrator.execution.ray.watchdog import watched
from orchestrator.execution.signals import Stop, interrupt, signals
from orchestrator.planning.resources import Node, this_machine
from orchestrator.run_dir.environment import git_commit
from trainables.config.trial import CODE_SCHEMA
from trainables.errors import ResourceError

# Tune would send the shell's AWS keys to all workers, and Ray would write them into its logs.
class_cache.ENV_VARS_TO_PROPAGATE -= {n for n in class_cache.ENV_VARS_TO_PROPAGATE if "AWS_" in n}

CODE = (orchestrator, search_spaces, trainables)

ANSWER_SECONDS = 5.0
"""How long a cluster may take to answer a question."""


@contextmanager
def connected(
    experiment: ExperimentConfig, run_dir: str | None = None, machine: Node | None = None
) -> Iterator[list[Node]]:
    """Ray, started on this machine or joined at ``ray.address``; gives the nodes with CPUs.

    A Ray that is started here listens on the loopback interface alone and asks for a token.

    Args:
        run_dir: what Ray's dashboard and job list name as the run directory; none: no run.
        machine: what a Ray that is started here is told of this machine; none: what there is.

    Raises:
        ResourceError: the cluster cannot be reached, asks for another token, or has no such node.
        RayLostError: Ray has died in the block.
    """
    address = experiment.ray.address
    # What goes wrong is told by the trials' records and the live view.
    here: Node | None = None
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    options["job_config"] = JobConfig(metadata=job_metadata(experiment, run_dir))
    if address is None:
        here = machine or this_machine()
        # Without "local", RAY_ADDRESS or a Ray that runs here already would be joined.
        options |= {"address": "local", "num_cpus": here.cpus, "num_gpus": here.gpus}
        options |= {"include_dashboard": experiment.ray.dashboard, "dashboard_host": "127.0.0.1"}
        options["_temp_dir"] = str(session_folder(Path(get_default_system_temp_dir())))
        secure_token()
    elif "://" in address:
        raise ResourceError(
            f"ray.address={address}: Ray Client cannot run a grid; give HOST:PORT of the head "
            "node (6379), or submit the command with ray job submit and ray.address=auto"
        )
    else:
        _answers(address)
        options |= {"address": address, "runtime_env": runtime_environment()}
    stop = Stop()
    with signals(interrupt), _guarded(address is None):
        try:
            try:
                # Left half-way, a start on this machine would leave processes behind.
                with signals(stop if address is None else interrupt), _own_sigterm():
                    ray.init(**options)
                stop.check()
            # Ray raises a bare Exception where a node does not come up in time.
            except Exception as error:
                reason = " ".join(str(error).split())
                if address is None:
                    raise ResourceError(f"Ray cannot be started: {reason}") from error
                raise ResourceError(f"ray.address={address}: cannot be joined: {reason}") from error
            found = {
                node["NodeID"]: Node(
                    int(node["Resources"]["CPU"]),
                    int(node["Resources"].get("GPU", 0)),
                    node["Resources"].get("memory", 0) / 1e9,
                    None if here is None else here.gpu_memory,
                )
                for node in ray.nodes()
                if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
            }
            nodes = list(found.values())
            if here is None and experiment.resources.gpu == "auto":
                memory = gpu_memory([name for name, node in found.items() if node.gpus])
                nodes = [replace(n, gpu_memory=memory.get(name)) for name, n in found.items()]
            if not nodes:
                raise ResourceError(f"ray.address={address}: the cluster has no node with CPUs")
            with watched(worker._global_node):
                yield nodes
        finally:
            with signals(signal.SIG_IGN):
                ray.shutdown()


def dashboard() -> str | None:
    """Where Ray's dashboard is and how to log in, as a line; none: this Ray has none."""
    url = worker._global_node.webui_url if worker._global_node else None
    return (
        f"Ray dashboard: http://{url} (log in with the token in {token_place()})" if url else None
    )


def job_metadata(experiment: ExperimentConfig, run_dir: str | None) -> dict[str, str]:
    """What Ray's list of jobs says of this one."""
    found = {
        "experiment": experiment.name,
        "run_directory": run_dir,
        "commit": git_commit(),
        "code_schema": str(CODE_SCHEMA),
    }
    return {name: value for name, value in found.items() if value is not None}


@contextmanager
def _guarded(local: bool) -> Iterator[None]:
    """Let a Ray that is started here be reachable from here alone, and only with the token.

    What the shell says of ``RAY_AUTH_MODE`` counts for clusters that are joined.
    """
    if not local:
        yield
        return
    mode = os.environ.pop("RAY_AUTH_MODE", None)
    clusters = ray_constants.ENABLE_RAY_CLUSTER
    # Ray's own switch for machines that are no part of a cluster: every server takes 127.0.0.1.
    ray_constants.ENABLE_RAY_CLUSTER = False
    AuthenticationTokenLoader.instance().reset_cache()
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = clusters
        os.environ.pop("RAY_AUTH_MODE", None)
        if mode is not None:
            os.environ["RAY_AUTH_MODE"] = mode
        Config.initialize("")


def _answers(address: str) -> None:
    """Find out within seconds whether a cluster lets us in; Ray itself tries for minutes.

    It is asked without the token first, so that one that asks nobody is told from one that
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
        tokens = AuthenticationTokenLoader.instance()
        ours = is_token_auth_enabled()
        found = ours and tokens.has_token(ignore_auth_mode=True)
        token = tokens.get_raw_token(ignore_auth_mode=True) if found else None
    except AuthenticationError as error:
        raise ResourceError(f"ray.address={address}: {error.message}; {advice}") from error
    if _lets_in(address, None):
        if ours:
            raise ResourceError(
                f"ray.address={address}: RAY_AUTH_MODE=token is set here, but this cluster lets "
                "anyone in; start it with RAY_AUTH_MODE=token, or set RAY_AUTH_MODE=disabled here"
            )
    elif token is None:
        raise ResourceError(f"ray.address={address}: the cluster asks for a token; {advice}")
    elif not _lets_in(address, token):
        raise ResourceError(
            f"ray.address={address}: the cluster refuses the token in {token_place()}; {advice}"
        )


def _lets_in(address: str, token: str | None) -> bool:
    """Whether the head node at ``address`` answers a harmless question.

    Raises:
        ResourceError: what listens there is no head node.
    """
    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        chain, key, authority = load_certs_from_env()
        credentials = grpc.ssl_channel_credentials(authority, key, chain)
        channel = grpc.secure_channel(address, credentials)
    else:
        channel = grpc.insecure_channel(address, (("grpc.enable_http_proxy", 0),))
    metadata = () if token is None else (("authorization", f"Bearer {token}"),)
    try:
        with channel:
            gcs_service_pb2_grpc.NodeInfoGcsServiceStub(channel).CheckAlive(
                gcs_service_pb2.CheckAliveRequest(),  # type: ignore[attr-defined]
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
    """The project's code and the settings of this shell that trials on other machines need."""
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


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep Ray from handling SIGTERM, which it does by exiting and leaving its agents behind."""
    taken = ray_utils.set_sigterm_handler
    ray_utils.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        ray_utils.set_sigterm_handler = taken
