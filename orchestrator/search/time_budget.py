"""When a search ends before its time."""

import time


class TimeBudget:
    """Says whether a search's time is up.

    Args:
        hours: from ``begin`` on; none: never.
    """

    def __init__(self, hours: float | None) -> None:
        self._hours = hours
        self._deadline: float | None = None

    def begin(self) -> None:
        """The search's own trials start now; those that they need of others have ended."""
        if self._hours is not None:
            self._deadline = time.monotonic() + 3600 * self._hours

    @property
    def now(self) -> bool:
        """Whether no trial is to start or go on."""
        return self._deadline is not None and time.monotonic() >= self._deadline
