"""Calls functions on the nodes of a Ray cluster."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from trainables.errors import ResourceError
from trainables.training.device import find_devices

ANSWER_SECONDS = 120.0
"""For a node's answer; its first process may have to fetch the project's code."""

DEVICE_SECONDS = 60.0
"""For what a node computes with, which may stay unknown."""

MEASURE_SECONDS = 900.0
"""For all that is measured on a GPU."""

Question = TypeVar("Question")
Answer = TypeVar("Answer")


def on_every_node(
    call: Callable[[Question, str], dict[str, str]], question: Question
) -> Mapping[str, dict[str, str]]:
    """Call a function on every node with CPUs; takes none of them.

    Args:
        call: gets the question and the node's id.
        question: passed to every call.

    Returns:
        Host and address of a node -> its answer.

    Raises:
        ResourceError: a node does not answer; names it.
    """
    task = ray.remote(num_cpus=0, max_retries=0)(call)
    nodes: dict[str, Any] = {}
    for node in ray.nodes():
        if node["Alive"] and node["Resources"].get("CPU", 0) >= 1:
            name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
            where = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            pending = task.options(scheduling_strategy=where).remote(question, node["NodeID"])
            nodes[f"{name}#{len(nodes)}" if name in nodes else name] = pending
    answers = {}
    for name, pending in nodes.items():
        try:
            answers[name] = ray.get(pending, timeout=ANSWER_SECONDS)
        except (RayError, GetTimeoutError) as error:
            reason = " ".join(str(error).split())[-200:] or type(error).__name__
            raise ResourceError(f"ray.address: node {name} runs nothing: {reason}") from error
    return answers


def on_a_gpu(call: Callable[[], Answer]) -> Answer:
    """Call a function on a node that has a GPU free, which it sees alone.

    Raises:
        ResourceError: no GPU is free, or the call fails or takes too long.
    """
    task = ray.remote(num_cpus=0, num_gpus=1, max_retries=0, max_calls=1)(lambda: call())
    pending = task.remote()
    try:
        return ray.get(pending, timeout=MEASURE_SECONDS)
    except (RayError, GetTimeoutError) as error:
        ray.cancel(pending, force=True)
        reason = " ".join(str(error).split())[-200:] or type(error).__name__
        raise ResourceError(reason) from error


def devices_of(
    nodes: list[str], ask: Callable[[], Answer] = find_devices
) -> dict[str, Answer | None]:
    """What each node computes with, by the node's id; None if it does not answer in time.

    The call reserves no GPU, so that it runs while others compute there. Its process ends with
    it: no trial reuses it.
    """
    environment = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    task = ray.remote(num_cpus=0, max_calls=1, runtime_env={"env_vars": environment})(ask)
    pending = {}
    for node in nodes:
        on_node = NodeAffinitySchedulingStrategy(node, soft=False)
        pending[task.options(scheduling_strategy=on_node).remote()] = node
    answers: dict[str, Answer | None] = dict.fromkeys(nodes)
    if pending:
        done, _ = ray.wait(list(pending), num_returns=len(pending), timeout=DEVICE_SECONDS)
        for answer in done:
            with suppress(RayError):
                answers[pending[answer]] = ray.get(answer)
    return answers
