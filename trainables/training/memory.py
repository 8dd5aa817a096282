"""Out-of-memory errors: recognise them, free memory afterwards, and limit a process's memory.

Running out of memory raises one of several errors, depending on the device; ``attempt`` turns all
of them into None and frees the memory of the failed attempt.
"""

import ctypes
import errno
import gc
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import torch

from trainables.errors import TrialError

Result = TypeVar("Result")
GB = 1_000_000_000
M_TRIM_THRESHOLD = -1
"""Parameter of mallopt(3): bytes of free memory at the heap's end above which it shrinks."""

M_MMAP_THRESHOLD = -3
"""Parameter of mallopt(3): larger blocks are mapped singly and unmapped as soon as freed."""

_TEXTS = (
    "can't allocate memory",  # the CPU allocator; "not enough memory" on other systems
    "not enough memory",
    "Cannot allocate memory",
    "std::bad_alloc",
    "could not create a memory",  # oneDNN; next, if there is no room for a kernel's code
    "could not create a primitive",
    "can't start new thread",
    "MPS backend out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` means that GPU or host memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _TEXTS)


def out_of_memory_error(what: str) -> TrialError:
    """The error for ``what`` not fitting into memory even with one example at a time."""
    return TrialError(
        f"{what} does not fit into memory, not even one example at a time: lower "
        "training.batch_size or model.max_length, take a smaller model, or give each trial more "
        "(resources.gpu, resources.memory, resources.max_concurrent)"
    )


def attempt(compute: Callable[[], Result]) -> Result | None:
    """The result of ``compute``; None if it ran out of memory, after freeing what it took."""
    try:
        return compute()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # Only out here is the traceback gone, whose frames kept the failed attempt's tensors alive.
    release_memory()
    return None


def release_memory() -> None:
    """Free unused memory: collect garbage, empty the GPU cache, return free host pages."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
    with suppress(OSError, AttributeError):  # Only glibc has it.
        ctypes.CDLL(None).malloc_trim(0)


def keep_freed_memory() -> None:
    """Let this process keep the memory of freed tensors for the next ones.

    Otherwise glibc returns large blocks at once, and Linux clears each page of the next ones again:
    a few percent of a step with short texts. ``release_memory`` returns it.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 30)
        ctypes.CDLL(None).mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)


@contextmanager
def limit_memory(gigabytes: float | None) -> Iterator[None]:
    """Limit this process to ``gigabytes`` of host memory within the block.

    An allocation beyond the limit fails, and with it the training step, not the machine. The limit
    is RLIMIT_DATA (Linux): private writable memory. RLIMIT_AS would also count mapped files such as
    the token cache and shared libraries, Ray's object store, and address space that allocators
    reserve and never touch, and would refuse trials that need little. Private memory that is
    only reserved when the block begins (thread stacks, allocator arenas) is added to the limit.

    Args:
        gigabytes: the limit in GB. None for no limit; a system without /proc has none either.
    """
    used = _private_memory()
    if gigabytes is None or used is None:
        yield
        return
    # Otherwise glibc keeps freed tensors for later use, and oneDNN has no room for its code.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 20)
    # Starts torch's threads now: failing to start them later would end the process.
    torch.matmul(torch.ones(512, 512), torch.ones(512, 512)).add_(1)
    mapped, resident = _private_memory() or used
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = int(gigabytes * GB) + mapped - resident
    for bound in (soft, hard):
        limit = limit if bound == resource.RLIM_INFINITY else min(limit, bound)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _private_memory() -> tuple[int, int] | None:
    """Bytes of private memory mapped and in use; None if the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    values = {name: text for name, _, text in (line.partition(":") for line in lines)}
    mapped, resident = (int(values[name].split()[0]) << 10 for name in ("VmData", "RssAnon"))
    return mapped, resident
