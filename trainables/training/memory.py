"""Memory that does not suffice: recognised, given back, and limited.

What does not fit raises one of several errors, depending on the device; ``attempt`` turns all of
them into an answer that its caller can act upon, with nothing of the failed attempt left.
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
M_MMAP_THRESHOLD = -3
"""Of mallopt(3): larger blocks are mapped one by one, and unmapped as soon as they are freed."""

_TEXTS = (
    "can't allocate memory",  # the CPU allocator; "not enough memory" on other systems
    "not enough memory",
    "Cannot allocate memory",
    "std::bad_alloc",
    "could not create a memory",  # oneDNN, and where it lacks the room for a kernel's code:
    "could not create a primitive",
    "can't start new thread",
    "MPS backend out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that memory, of a GPU or of the host, did not suffice."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _TEXTS)


def out_of_memory_error(what: str) -> TrialError:
    """The error of a trial of which not even one example at a time fits."""
    return TrialError(
        f"{what} does not fit into memory, not even one example at a time: lower "
        "training.batch_size or model.max_length, take a smaller model, or give each trial more "
        "(resources.gpu, resources.memory, resources.max_concurrent)"
    )


def attempt(compute: Callable[[], Result]) -> Result | None:
    """What ``compute`` gives; none where it does not fit, and then its memory is free again."""
    try:
        return compute()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # Only here is the traceback gone, whose frames keep the failed attempt's tensors alive.
    release_memory()
    return None


def release_memory() -> None:
    """Give back what no living object holds: cycles, the GPU's cache, the host's free pages."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
    with suppress(OSError, AttributeError):  # Only glibc knows it.
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def limit_memory(gigabytes: float | None) -> Iterator[None]:
    """Within the block this process cannot take more than ``gigabytes`` of host memory.

    An allocation beyond it fails, and with it the step that asked, not the machine. The limit is
    RLIMIT_DATA (Linux): private memory that can be written. RLIMIT_AS counts every address
    besides: mapped files such as the token cache and the shared libraries, Ray's shared store, what
    allocators reserve and never touch; it would refuse a trial that takes little. Of private
    memory too some is only reserved when the block begins (thread stacks, allocators' arenas), so
    that much is added to the limit. None, or a system without /proc: no limit.
    """
    used = _private_memory()
    if gigabytes is None or used is None:
        yield
        return
    # Else glibc keeps freed tensors for its own later use, and oneDNN's code finds no room.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 20)
    # Threads that cannot be started later, for lack of memory, would end the process.
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
    """Bytes of private memory that are mapped and that are in use; none where it is unknown."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    values = {name: text for name, _, text in (line.partition(":") for line in lines)}
    mapped, resident = (int(values[name].split()[0]) << 10 for name in ("VmData", "RssAnon"))
    return mapped, resident
