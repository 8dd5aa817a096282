"""When a search ends before it is complete."""

import time


class TimeBudget:
    """The hours that a command may search.

    Args:
        hours: counted from ``begin``. None: no limit.
    """

    def __init__(self, hours: float | None) -> None:
        self._hours = hours
        self._deadline: float | None = None

    def begin(self) -> None:
        """Start the clock: the search's own trials start now."""
        if self._hours is not None:
            self._deadline = time.monotonic() + 3600 * self._hours

    @property
    def exhausted(self) -> bool:
        """Whether the time is used up: no trial starts or goes on."""
        return self._deadline is not None and time.monotonic() >= self._deadline
