"""Ray for a grid: started on this machine, or a running cluster that is joined.

Imported before Ray by whatever uses Ray here: the settings below count when Ray is imported.
"""

import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# What goes wrong is told by records and by the live view; Ray would print a screenful of it.
os.environ["RAY_DEDUP_LOGS_SKIP_REGEX"] = "."
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
os.environ["RAY_NUM_REDIS_GET_RETRIES"] = "1"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Each trial writes its own record and progress; Tune's loggers would write them again.
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
# Ctrl-C is ours: Tune's own handler makes ``fit`` return as if all were done.
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"

import ray
from ray._private import utils as ray_utils

import orchestrator
import search_spaces
import trainables
from orchestrator.config import ExperimentConfig
from orchestrator.resources import Node, this_machine
from orchestrator.signals import Stop, interrupt, signals
from trainables.errors import ResourceError


@contextmanager
def connected(experiment: ExperimentConfig) -> Iterator[list[Node]]:
    """Ray, started on this machine or joined at ``ray.address``; gives the nodes with CPUs.

    Raises:
        ResourceError: the cluster cannot be reached, or has no such node.
    """
    address = experiment.ray.address
    # What goes wrong is told by the trials' records and the live view.
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address is None:
        node = this_machine()
        # Without "local", RAY_ADDRESS or a Ray that runs here already would be joined.
        options |= {"address": "local", "num_cpus": node.cpus, "num_gpus": node.gpus}
        options |= {"include_dashboard": False}
    elif "://" in address:
        raise ResourceError(
            f"ray.address={address}: Ray Client cannot run a grid; give HOST:PORT of the head "
            "node (6379), or submit the command with ray job submit and ray.address=auto"
        )
    else:
        _answers(address)
        options |= {"address": address, "runtime_env": runtime_environment()}
    stop = Stop()
    with signals(interrupt):
        try:
            try:
                # Left half-way, a start on this machine would leave processes behind.
                with signals(stop if address is None else interrupt), _own_sigterm():
                    ray.init(**options)
                stop.check()
            except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
                reason = " ".join(str(error).split())
                if address is None:
                    raise ResourceError(f"Ray cannot be started: {reason}") from error
                raise ResourceError(
                    f"ray.address={address}: cannot be joined: {reason} (a cluster that asks for "
                    "a token needs RAY_AUTH_MODE=token and its token here)"
                ) from error
            nodes = [
                Node(
                    int(node["Resources"]["CPU"]),
                    int(node["Resources"].get("GPU", 0)),
                    node["Resources"].get("memory", 0) / 1e9,
                )
                for node in ray.nodes()
                if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
            ]
            if not nodes:
                raise ResourceError(f"ray.address={address}: the cluster has no node with CPUs")
            yield nodes
        finally:
            with signals(signal.SIG_IGN):
                ray.shutdown()


def _answers(address: str) -> None:
    """Find out within seconds that nothing listens; Ray itself tries for several minutes.

    Raises:
        ResourceError: nothing listens at ``HOST:PORT``.
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


def runtime_environment() -> dict[str, Any]:
    """The project's code and the settings of this shell that trials on other machines need."""
    settings = ("HF_HUB_OFFLINE", "ONE_OR_MANY_CACHE", "WANDB_MODE", "RAY_CHDIR_TO_TRIAL_DIR")
    return {
        "py_modules": [orchestrator, search_spaces, trainables],
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
