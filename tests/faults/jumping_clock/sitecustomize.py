"""Python reads this at its start where the folder is on PYTHONPATH: the clock jumps by hours.

Every two seconds the time of day is off by another amount, forth or back. The monotonic clock is
right, as it would be where somebody sets a real machine's clock.
"""

import datetime
import time
from typing import Any

_OFFSETS = (0.0, 7200.0, -10800.0, 86400.0, -5400.0, 36000.0)
"""Seconds, one after the other."""

_time = time.time


def _jumped() -> float:
    return _time() + _OFFSETS[int(time.monotonic() // 2) % len(_OFFSETS)]


class _AnyDatetime(type(datetime.datetime)):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _datetime)


_datetime = datetime.datetime


class _Datetime(_datetime, metaclass=_AnyDatetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return _datetime.fromtimestamp(_jumped(), tz)


time.time = _jumped
time.time_ns = lambda: int(_jumped() * 1e9)
datetime.datetime = _Datetime
