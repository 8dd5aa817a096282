"""What each trial gets of the machine or cluster, and whether any node can give it."""

import math
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config import ExperimentConfig, ResourcesConfig
from trainables.errors import ResourceError


@dataclass(frozen=True)
class Node:
    """One machine: CPU cores, GPUs, and GB of memory for trials."""

    cpus: int
    gpus: int
    memory: float = math.inf


@dataclass(frozen=True)
class TrialResources:
    """What one trial gets, and how many trials then run at once.

    Attributes:
        cpu: CPU threads.
        gpu: GPUs, or a share of one.
        slots: trials that run at the same time.
        memory: GB of host memory; none: whatever there is.
    """

    cpu: int
    gpu: float
    slots: int
    memory: float | None = None

    def describe(self) -> str:
        """For a plan's table, for example ``1 CPU, 0.5 GPU, 4 GB``."""
        gpu = f", {self.gpu:g} GPU" if self.gpu else ""
        return f"{self.cpu} CPU{gpu}" + (f", {self.memory:g} GB" if self.memory else "")


def this_machine() -> Node:
    """The cores and the memory that this process may use, and the GPUs that torch sees."""
    import torch

    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        # A container's share; "max" where it has none.
        with suppress(OSError, ValueError):
            limits.append(int((Path("/sys/fs/cgroup") / name).read_text()))
    return Node(len(os.sched_getaffinity(0)), torch.cuda.device_count(), min(limits) / 1e9)


def share_out(config: ResourcesConfig, nodes: list[Node], trials: int) -> TrialResources:
    """Resolve ``auto`` and check that some node can run a trial.

    ``gpu=auto`` gives each trial one GPU where there are any. ``cpu=auto`` divides a node's cores
    evenly among the trials that run on it at once, so that every core has work and none has two
    trials' threads.

    Args:
        config: what was asked for.
        nodes: the machines of the cluster.
        trials: trials of the whole plan, finished ones included, so that a continued run gives the
            rest the same threads as before.

    Raises:
        ResourceError: no node has as much; names the key.
    """
    most_gpus = max(node.gpus for node in nodes)
    gpu = float(min(1, most_gpus)) if config.gpu == "auto" else config.gpu
    if gpu and not most_gpus:
        raise ResourceError(
            f"resources.gpu={gpu:g}: this {_where(nodes)} has no GPU; use resources.gpu=0 or auto"
        )
    able = [node for node in nodes if node.gpus or not gpu]
    memory = config.memory
    if memory is not None:
        most = max(node.memory for node in able)
        if most < memory:
            raise ResourceError(
                f"resources.memory={memory:g}: this {_where(nodes)} has at most {most:.1f} GB per "
                "node for trials; ask for less"
            )
        able = [node for node in able if node.memory >= memory]
    if config.cpu == "auto":
        node = max(able, key=lambda n: n.cpus)
        here = min(_fitting(node, gpu, memory, node.cpus), max(1, -(-trials // len(able))))
        cpu = max(1, node.cpus // max(1, here))
    else:
        cpu = config.cpu
    if all(node.cpus < cpu for node in able):
        raise ResourceError(
            f"resources.cpu={cpu}: this {_where(nodes)} has at most "
            f"{max(node.cpus for node in able)} cores per node; ask for fewer"
        )
    slots = sum(_fitting(node, gpu, memory, node.cpus // cpu) for node in able)
    if config.max_concurrent is not None:
        slots = min(slots, config.max_concurrent)
    return TrialResources(cpu, gpu, max(1, min(slots, trials)), memory)


def feasible(experiment: ExperimentConfig, nodes: list[Node], trials: int) -> TrialResources:
    """What each trial gets (see ``share_out``), checked against the precision too.

    Raises:
        ResourceError: the nodes cannot give it.
    """
    resources = share_out(experiment.resources, nodes, trials)
    if experiment.training.precision == "fp16" and not resources.gpu:
        raise ResourceError(
            "training.precision=fp16: needs GPUs and the trials get none; use auto, fp32 or bf16"
        )
    return resources


def _fitting(node: Node, gpu: float, memory: float | None, by_cpu: int) -> int:
    """Trials that fit on a node, where its cores alone allow ``by_cpu``."""
    by_gpu = node.gpus * int(1 / gpu + 1e-9) if gpu else by_cpu
    by_memory = by_cpu if memory is None else min(by_cpu, node.memory / memory)
    return int(min(by_cpu, by_gpu, by_memory))


def _where(nodes: list[Node]) -> str:
    return "machine" if len(nodes) == 1 else "cluster"
