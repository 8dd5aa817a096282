"""Asks the nodes of a running cluster how much memory their GPUs have."""

from collections.abc import Callable
from contextlib import suppress

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from trainables.training.device import smallest_gpu

ANSWER_SECONDS = 60.0
"""How long a node may take to start a process and to answer."""


def gpu_memory(
    nodes: list[str], asked: Callable[[], float | None] = smallest_gpu
) -> dict[str, float | None]:
    """GB of the smallest GPU of each node, by the node's id; none: it does not answer in time.

    The question takes no GPU, so it is answered while others compute there, and sees all that the
    node's Ray sees. The process that answers ends: no trial takes it over.
    """
    environment = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    task = ray.remote(num_cpus=0, max_calls=1, runtime_env={"env_vars": environment})(asked)
    answers = {}
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node, soft=False)
        answers[task.options(scheduling_strategy=there).remote()] = node
    memory: dict[str, float | None] = dict.fromkeys(nodes)
    if answers:
        done, _ = ray.wait(list(answers), num_returns=len(answers), timeout=ANSWER_SECONDS)
        for answer in done:
            with suppress(RayError):
                memory[answers[answer]] = ray.get(answer)
    return memory
