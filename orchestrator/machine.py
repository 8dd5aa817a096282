"""What this process may use of its machine: all of it, or a container's share."""

import math
import os
from contextlib import suppress
from pathlib import Path

CONTROL_GROUP = Path("/sys/fs/cgroup")
"""Where a container sees its own limits."""


def cores() -> int:
    """CPU cores: those that the process may run on, and no more than its share of time fills."""
    limits = [len(os.sched_getaffinity(0))]
    with suppress(OSError, ValueError):
        quota, period = (CONTROL_GROUP / "cpu.max").read_text().split()
        # "max" where there is none.
        limits.append(math.ceil(int(quota) / int(period)))
    older = CONTROL_GROUP / "cpu"
    with suppress(OSError, ValueError):
        quota = int((older / "cpu.cfs_quota_us").read_text())
        # -1 where there is none.
        if quota > 0:
            limits.append(math.ceil(quota / int((older / "cpu.cfs_period_us").read_text())))
    return max(1, min(limits))


def memory() -> int:
    """Bytes of memory."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            limits.append(int((CONTROL_GROUP / name).read_text()))
    return min(limits)
