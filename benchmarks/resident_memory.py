"""The resident memory of this process, by the standard library alone."""

import resource
from pathlib import Path


def resident() -> int:
    """Bytes now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def most_resident() -> int:
    """Bytes at the highest so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
