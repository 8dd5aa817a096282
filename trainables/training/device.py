"""The device that a trial computes on, its threads and its number format."""

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from trainables.errors import ResourceError

CONTEXT = 600_000_000
"""Bytes that CUDA, its libraries and their kernels take of a GPU in each process; an assumption."""


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
            there = f"it has {count}" if count else "it has none"
            raise ResourceError(
                f"device={name}: this machine lacks that GPU ({there}); use device=cpu or auto"
            )
        return torch.device("cuda", device.index or 0)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ResourceError("device=mps: not available on this machine; use device=cpu")
    return device


def resolve_precision(name: str, device: torch.device) -> str:
    """``fp32``, ``bf16`` or ``fp16``.

    ``auto`` takes bf16 on GPUs that compute in it, fp16 on older ones, and fp32 elsewhere: without
    matrix units for bf16, which most CPUs lack, autocast to it is slower than fp32.

    Raises:
        ResourceError: fp16 without a GPU, where its gradient scaling is not supported.
    """
    if name == "auto":
        if device.type != "cuda":
            return "fp32"
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if name == "fp16" and device.type != "cuda":
        raise ResourceError(
            f"training.precision=fp16 needs a GPU, the device is {device}; use bf16 or fp32"
        )
    return name


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """The context in which the forward pass runs."""
    if precision == "fp32":
        return nullcontext()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return torch.autocast(device.type, dtype=dtype)


def use_threads(threads: int) -> None:
    """Compute with exactly ``threads`` CPU threads in this process.

    Trials that share a machine, each with a thread per core, slow each other down many times over.
    """
    torch.set_num_threads(threads)


def deterministic(device: torch.device) -> None:
    """Make repeated runs on the same device give the same bits."""
    if device.type == "cuda":
        # Without a workspace of fixed size cuBLAS may choose another algorithm each time.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        # Under ``warn_only`` the backward passes of the fused attentions add up in any order.
        torch.backends.cuda.enable_flash_sdp(False)
        torch.backends.cuda.enable_mem_efficient_sdp(False)
        torch.backends.cuda.enable_cudnn_sdp(False)
        torch.use_deterministic_algorithms(True, warn_only=True)


def limit_gpu_memory(device: torch.device, share: float) -> None:
    """Let this process allocate no more than its share of a GPU's memory.

    What is beyond it does not fit, whatever the other trials on that GPU leave: how a trial cuts
    its batches must not depend on its neighbours.
    """
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        own = total if share >= 1 else max(share * total - CONTEXT, share * total / 2)
        torch.cuda.set_per_process_memory_fraction(own / total, device)


def smallest_gpu() -> float | None:
    """GB of memory of the smallest GPU that this process sees; none: there is none to be asked."""
    try:
        seen = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
        return min((gpu.total_memory for gpu in seen), default=0) / 1e9 or None
    except RuntimeError:
        return None
