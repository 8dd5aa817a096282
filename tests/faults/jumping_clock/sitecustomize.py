"""Python reads this at its start where the folder is on PYTHONPATH: the clock jumps by hours.

Every two seconds the time of day is off by another amount, forth or back. The monotonic clock is
right, as where somebody sets a real machine's clock. ``datetime.now`` cannot be replaced:
numpy and pyarrow know the type's layout.
"""

import time

_OFFSETS = (0.0, 7200.0, -10800.0, 86400.0, -5400.0, 36000.0)
"""Seconds, one after the other."""

_time = time.time


def _jumped() -> float:
    return _time() + _OFFSETS[int(time.monotonic() // 2) % len(_OFFSETS)]


time.time = _jumped
time.time_ns = lambda: int(_jumped() * 1e9)
