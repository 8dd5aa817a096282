"""Asks every node of a joined Ray cluster something, in a process of that node."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from trainables.errors import ResourceError

ANSWER_SECONDS = 120.0
"""A node's first process may have to fetch the project's code."""

Question = TypeVar("Question")


def on_every_node(
    call: Callable[[Question, str], dict[str, str]], question: Question
) -> Mapping[str, dict[str, str]]:
    """Call a function on every node with CPUs; takes none of them.

    Args:
        call: gets the question and the node's number.

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
            asked = task.options(scheduling_strategy=where).remote(question, node["NodeID"])
            nodes[f"{name}#{len(nodes)}" if name in nodes else name] = asked
    answers = {}
    for name, asked in nodes.items():
        try:
            answers[name] = ray.get(asked, timeout=ANSWER_SECONDS)
        except (RayError, GetTimeoutError) as error:
            reason = " ".join(str(error).split())[-200:] or type(error).__name__
            raise ResourceError(f"ray.address: node {name} runs nothing: {reason}") from error
    return answers
