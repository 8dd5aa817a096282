"""The device, CPU threads, number format and determinism of a trial."""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from trainables.errors import ResourceError

CONTEXT = 600_000_000
"""Assumed bytes of GPU memory that the CUDA context and libraries take in each process."""


def resolve_device(name: str) -> torch.device:
    """The device called ``name``; ``auto`` is the first GPU if there is one, else the CPU.

    Raises:
        ResourceError: no such device on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise ResourceError(f"device={name}: no such device; use auto, cpu, mps, cuda or cuda:N")
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            available = f"it has {count}" if count else "it has none"
            raise ResourceError(
                f"device={name}: this machine lacks that GPU ({available}); use device=cpu or auto"
            )
        return torch.device("cuda", device.index or 0)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ResourceError("device=mps: not available on this machine; use device=cpu")
    return device


def resolve_precision(name: str, device: torch.device, chosen: str | None = None) -> str:
    """Resolve the setting ``training.precision`` to ``fp32``, ``bf16`` or ``fp16``.

    ``auto`` is bf16 on GPUs that support it and on CPUs with matrix units for it, fp16 on other
    GPUs and fp32 elsewhere: CPUs without such units are slower in bf16.

    Args:
        name: the setting.
        device: what is computed on.
        chosen: what ``auto`` became for all trials of the grid; None: what the device has decides.

    Raises:
        ResourceError: fp16 without a GPU, where its gradient scaling is not supported.
    """
    name = chosen if name == "auto" and chosen is not None else name
    if name == "auto":
        if device.type == "cuda":
            return "bf16" if gpu_bf16() else "fp16"
        return "bf16" if device.type == "cpu" and bf16_units() else "fp32"
    if name == "fp16" and device.type != "cuda":
        raise ResourceError(
            f"training.precision=fp16 needs a GPU, the device is {device}; use bf16 or fp32"
        )
    return name


def bf16_units() -> bool:
    """Whether the CPU has matrix units for bf16 (AMX), as torch reports them."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def gpu_bf16() -> bool:
    """Whether the GPU computes in bf16; False without a GPU."""
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


@dataclass(frozen=True)
class Devices:
    """What a machine computes with.

    Attributes:
        gpu_memory: see ``smallest_gpu``.
        bf16: see ``bf16_units``.
        gpu_bf16: see ``gpu_bf16``.
    """

    gpu_memory: float | None
    bf16: bool
    gpu_bf16: bool


def find_devices() -> Devices:
    """What this machine computes with."""
    return Devices(smallest_gpu(), bf16_units(), gpu_bf16())


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """The autocast context for the forward pass in ``precision`` (fp32, bf16 or fp16)."""
    if precision == "fp32":
        return nullcontext()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return torch.autocast(device.type, dtype=dtype)


def use_threads(threads: int) -> None:
    """Set the number of CPU threads that torch uses in this process.

    Trials that share a machine would slow each other down many times over with a thread per core
    each.
    """
    torch.set_num_threads(threads)


def use_deterministic(device: torch.device, deterministic: bool) -> None:
    """Switch deterministic algorithms on, so that runs are equal bit for bit, or off.

    Off, PyTorch chooses the fastest, fused attention among them. A CPU's are always deterministic.
    """
    if device.type == "cuda":
        # Without a workspace of fixed size cuBLAS may choose a different algorithm each time.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        # With ``warn_only`` the backward passes of fused attention would still sum in any order.
        torch.backends.cuda.enable_flash_sdp(not deterministic)
        torch.backends.cuda.enable_mem_efficient_sdp(not deterministic)
        torch.backends.cuda.enable_cudnn_sdp(not deterministic)
        torch.use_deterministic_algorithms(deterministic, warn_only=True)


def limit_gpu_memory(device: torch.device, share: float) -> None:
    """Limit this process to its share of a GPU's memory.

    An allocation beyond the limit fails even if the other trials on the GPU leave room: the number
    of a trial's micro-batches must not depend on its neighbours.
    """
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        limit = total if share >= 1 else max(share * total - CONTEXT, share * total / 2)
        torch.cuda.set_per_process_memory_fraction(limit / total, device)


def smallest_gpu() -> float | None:
    """Memory in GB of the smallest GPU visible to this process; None without a usable GPU."""
    try:
        gpus = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
        return min((gpu.total_memory for gpu in gpus), default=0) / 1e9 or None
    except RuntimeError:
        return None
