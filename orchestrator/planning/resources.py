"""Shares out the cores, GPUs and memory of the machine or cluster among trials."""

import math
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from orchestrator.config.experiment import ExperimentConfig
from orchestrator.config.runtime import ResourcesConfig
from orchestrator.planning.gpu_sharing import GpuSharing, levels
from trainables.config.base import Settings
from trainables.config.trial import TrialConfig
from trainables.errors import ResourceError

CONTROL_GROUP = Path("/sys/fs/cgroup")
"""Where a container sees its own limits."""


def cores() -> int:
    """CPU cores that this process may use, by its affinity and its container's CPU quota."""
    limits = [len(os.sched_getaffinity(0))]
    with suppress(OSError, ValueError):
        quota, period = (CONTROL_GROUP / "cpu.max").read_text().split()
        # "max" if there is no quota.
        limits.append(math.ceil(int(quota) / int(period)))
    older = CONTROL_GROUP / "cpu"
    with suppress(OSError, ValueError):
        quota = int((older / "cpu.cfs_quota_us").read_text())
        # -1 if there is no quota.
        if quota > 0:
            limits.append(math.ceil(quota / int((older / "cpu.cfs_period_us").read_text())))
    return max(1, min(limits))


def memory() -> int:
    """Bytes of memory that this process may use."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            limits.append(int((CONTROL_GROUP / name).read_text()))
    return min(limits)


DEVICES = Path("/dev")
CPU_INFO = Path("/proc/cpuinfo")

MOST_SHARES = 8
"""Trials that ``auto`` puts on a GPU at most; more would only take turns on it."""


@dataclass(frozen=True)
class Node:
    """One machine.

    Attributes:
        cpus: cores.
        gpus: GPUs.
        memory: GB of memory for trials.
        gpu_memory: GB of its smallest GPU; None if unknown.
        bf16: whether its CPU has matrix units for bf16.
        gpu_bf16: whether its GPUs compute in bf16.
    """

    cpus: int
    gpus: int
    memory: float = math.inf
    gpu_memory: float | None = None
    bf16: bool = False
    gpu_bf16: bool = False


@dataclass(frozen=True)
class GpuNeed:
    """What the largest trial of a plan needs.

    Attributes:
        title: its name.
        gigabytes: GB of GPU memory; infinite where it cannot be counted.
        config: the trial; None: it cannot be measured.
        examples: training examples that it sees.
        glue_dir: the GLUE folder, if any.
    """

    title: str
    gigabytes: float
    config: TrialConfig | None = None
    examples: int = 0
    glue_dir: str | None = None


Measure = Callable[[GpuNeed, Mapping[int, int], int], GpuSharing]
"""Measures trials an hour: gets the largest trial, threads of each by the number of trials at
once, and the plan's trials for each GPU."""


@dataclass(frozen=True)
class TrialResources:
    """The resources of one trial, and how many trials run at once.

    Attributes:
        cpu: CPU threads.
        gpu: GPUs, or a share of one.
        slots: trials that run at the same time.
        memory: GB of host memory; None: no limit.
        why: how ``resources.gpu=auto`` was resolved; empty without GPUs.
        sharing: what was measured for it; None where nothing was to be decided.
        precision: ``training.precision``, with ``auto`` resolved for all trials; None: each trial
            resolves it for its device.
    """

    cpu: int
    gpu: float
    slots: int
    memory: float | None = None
    why: str = ""
    sharing: GpuSharing | None = None
    precision: Literal["fp32", "bf16", "fp16"] | None = None

    def describe(self) -> str:
        """For a plan's table, for example ``1 CPU, 0.5 GPU, 4 GB, bf16``."""
        gpu = f", {self.gpu:g} GPU" if self.gpu else ""
        memory = f", {self.memory:g} GB" if self.memory else ""
        return f"{self.cpu} CPU{gpu}{memory}" + (f", {self.precision}" if self.precision else "")


class ResourceChoices(Settings):
    """What the first command of a run directory chose for all trials, and later ones keep.

    Attributes:
        precision: what ``training.precision=auto`` became; None if nothing was chosen.
        sharing: what was measured to divide a GPU; None if nothing was.
    """

    precision: Literal["fp32", "bf16", "fp16"] | None = None
    sharing: GpuSharing | None = None


NOTHING_CHOSEN = ResourceChoices()


def this_machine() -> Node:
    """The cores and the memory that this process may use, and the GPUs that torch sees."""
    if "torch" not in sys.modules and sys.platform == "linux" and not _gpu_devices():
        # Without importing torch, which takes seconds.
        return Node(cores(), 0, memory() / 1e9, bf16=_says_bf16_units())
    import torch

    from trainables.training.device import find_devices

    gpus, found = torch.cuda.device_count(), find_devices()
    return Node(
        cores(), gpus, memory() / 1e9, found.gpu_memory, bf16=found.bf16, gpu_bf16=found.gpu_bf16
    )


def _says_bf16_units() -> bool:
    """What Linux says of ``bf16_units``."""
    with suppress(OSError):
        return "amx_bf16" in CPU_INFO.read_text().split()
    return False


def _gpu_devices() -> bool:
    """Whether Linux shows a GPU of NVIDIA or AMD, or Windows' own under WSL."""
    names = ("nvidia*", "kfd", "dxg")
    return any(path for name in names for path in DEVICES.glob(name))


def local_resources(
    experiment: ExperimentConfig,
    trials: int,
    need: Callable[[], GpuNeed],
    choices: ResourceChoices = NOTHING_CHOSEN,
) -> TrialResources:
    """What each trial gets of this machine, see :func:`feasible`."""
    return feasible(experiment, [this_machine()], trials, need, choices)


def share_out(
    config: ResourcesConfig,
    nodes: list[Node],
    trials: int,
    need: Callable[[], GpuNeed] | None = None,
    measure: Measure | None = None,
) -> TrialResources:
    """Resolve ``auto``, count the trials at once and check that some node can run one.

    ``gpu=auto`` divides a GPU among as many trials as fit (see ``divide``). ``cpu=auto`` divides a
    node's cores evenly among the trials that run on it at once, so that every core has work and
    none has two trials' threads. Trials with GPUs get as many as leave no GPU of any node without
    work.

    Args:
        config: what was asked for.
        nodes: the machines of the cluster.
        trials: trials of the whole plan, finished ones included, so that a continued run gives the
            rest the same threads and the same share of a GPU as before.
        need: counts what the largest trial needs; asked only if a GPU is to be divided.
        measure: measures trials an hour; asked only if several fit into a GPU's memory.

    Raises:
        ResourceError: no node has as much; names the key.
    """
    most_gpus = max(node.gpus for node in nodes)
    why, sharing = "", None
    if config.gpu != "auto":
        # Ray counts in ten-thousandths, rounded: three times 0.33334 would be too much.
        gpu = math.floor(config.gpu * 10_000 + 1e-6) / 10_000
        if config.gpu and not gpu:
            raise ResourceError(
                f"resources.gpu={config.gpu:g}: Ray counts GPUs in ten-thousandths; "
                "use 0 or at least 0.0001"
            )
    elif most_gpus:
        threads = None if config.cpu == "auto" else config.cpu
        with_gpus = [node for node in nodes if node.gpus]
        gpu, why, sharing = divide(with_gpus, trials, need, measure, threads)
    else:
        gpu = 0.0
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
    cpu = _threads(able, gpu, memory, trials) if config.cpu == "auto" else config.cpu
    if all(node.cpus < cpu for node in able):
        raise ResourceError(
            f"resources.cpu={cpu}: this {_where(nodes)} has at most "
            f"{max(node.cpus for node in able)} cores per node; ask for fewer"
        )
    slots = _slots(able, gpu, memory, cpu)
    if config.max_concurrent is not None:
        slots = min(slots, config.max_concurrent)
    return TrialResources(cpu, gpu, max(1, min(slots, trials)), memory, why, sharing)


def divide(
    nodes: list[Node],
    trials: int,
    need: Callable[[], GpuNeed] | None,
    measure: Measure | None = None,
    threads: int | None = None,
) -> tuple[float, str, GpuSharing | None]:
    """The share of a GPU that each trial gets, why, in words, and what was measured.

    As many trials may share a GPU as fit into the smallest one's memory, as have cores of a node,
    and as there are for each GPU; at most ``MOST_SHARES``. Of the numbers up to that the one
    that trains most trials an hour is chosen, if that can be measured.

    Args:
        nodes: those with GPUs.
        trials: of the whole plan.
        need: estimates what the largest one needs; None if unknown.
        measure: measures trials an hour; None: memory alone decides.
        threads: CPU threads of each trial; None: the cores divided by the trials at once.
    """
    memories = [node.gpu_memory for node in nodes]
    if need is None or None in memories:
        return 1.0, "auto: one GPU each; how much memory the GPUs have is not known", None
    smallest = min(memory for memory in memories if memory is not None)
    largest = need()
    if math.isinf(largest.gigabytes):
        why = f"auto: one GPU each; what {largest.title} needs cannot be counted without running it"
        return 1.0, why, None
    cores_each = min(node.cpus // node.gpus for node in nodes)
    by_cores = cores_each // (threads or 1)
    trials_each = -(-trials // sum(node.gpus for node in nodes))
    limits = (MOST_SHARES, by_cores, trials_each, int(smallest / largest.gigabytes))
    shares = max(1, min(limits))
    sharing = None
    if shares > 1 and measure is not None:
        each_gets = {n: threads or cores_each // n for n in levels(shares)}
        sharing = measure(largest, each_gets, trials_each)
        shares = sharing.choose(shares)
    each = "one GPU" if shares == 1 else f"1/{shares} GPU"
    why = (
        f"auto: {each} each; the largest trial ({largest.title}) needs about "
        f"{largest.gigabytes:.1f} GB of {smallest:.1f} GB"
    )
    if largest.gigabytes > smallest:
        why += ", so it may have to cut its batches into smaller parts"
    if sharing is not None:
        why += f"; {sharing.describe()}"
    return math.floor(10_000 / shares) / 10_000, why, sharing


def feasible(
    experiment: ExperimentConfig,
    nodes: list[Node],
    trials: int,
    need: Callable[[], GpuNeed] | None = None,
    choices: ResourceChoices = NOTHING_CHOSEN,
    measure: Measure | None = None,
) -> TrialResources:
    """What each trial gets (see ``share_out``), and in which number format all compute.

    Args:
        experiment: the grid.
        nodes: the machines of the cluster.
        trials: trials of the whole plan.
        need: counts what the largest trial needs.
        choices: what an earlier command of the run directory chose; kept.
        measure: measures trials an hour; None: nothing is measured now.

    Raises:
        ResourceError: the nodes cannot give it.
    """

    def measured(need: GpuNeed, threads: Mapping[int, int], trials: int) -> GpuSharing:
        key = need.config.key if need.config is not None else ""
        if choices.sharing is not None and choices.sharing.trial == key:
            return choices.sharing
        if measure is None:
            return GpuSharing(trial=key, note="the run measures trials an hour first")
        return measure(need, threads, trials)

    resources = share_out(experiment.resources, nodes, trials, need, measured)
    precision = experiment.training.precision
    if precision == "fp16" and not resources.gpu:
        raise ResourceError(
            "training.precision=fp16: needs GPUs and the trials get none; use auto, fp32 or bf16"
        )
    if precision == "auto":
        precision = choices.precision or common_precision(nodes, resources)
    return replace(resources, precision=precision)


def common_precision(
    nodes: list[Node], resources: TrialResources
) -> Literal["fp32", "bf16", "fp16"]:
    """The number format of ``training.precision=auto``, the same on all nodes that get trials.

    On GPUs bf16 if all compute in it, else fp16. On CPUs bf16 if all have matrix units for it, as
    others are slower in it than in fp32; else fp32.
    """
    if resources.gpu:
        return "bf16" if all(node.gpu_bf16 for node in nodes if node.gpus) else "fp16"
    able = [node for node in nodes if node.cpus >= resources.cpu]
    return "bf16" if all(node.bf16 for node in able) else "fp32"


def _threads(nodes: list[Node], gpu: float, memory: float | None, trials: int) -> int:
    """Threads of each trial where they are ``auto``."""
    node = max(nodes, key=lambda n: n.cpus)
    here = min(_fitting(node, gpu, memory, node.cpus), max(1, -(-trials // len(nodes))))
    threads = max(1, node.cpus // max(1, here))
    if gpu:
        wanted = min(trials, _slots(nodes, gpu, memory, 1))
        while threads > 1 and _slots(nodes, gpu, memory, threads) < wanted:
            threads -= 1
    return threads


def _slots(nodes: list[Node], gpu: float, memory: float | None, cpu: int) -> int:
    """Trials that run at once on all nodes."""
    return sum(_fitting(node, gpu, memory, node.cpus // cpu) for node in nodes)


def _fitting(node: Node, gpu: float, memory: float | None, by_cpu: int) -> int:
    """Trials that fit on a node, where its cores alone allow ``by_cpu``."""
    by_gpu = node.gpus * int(1 / gpu + 1e-9) if gpu else by_cpu
    by_memory = by_cpu if memory is None else min(by_cpu, node.memory / memory)
    return int(min(by_cpu, by_gpu, by_memory))


def _where(nodes: list[Node]) -> str:
    return "machine" if len(nodes) == 1 else "cluster"
