"""When a search ends before its time."""

import time


class Ending:
    """Says whether a search's time is up; pickled with what asks it.

    Args:
        hours: from now; none: never.
    """

    def __init__(self, hours: float | None) -> None:
        self._deadline = None if hours is None else time.monotonic() + 3600 * hours

    @property
    def now(self) -> bool:
        """Whether no trial is to start or go on."""
        return self._deadline is not None and time.monotonic() >= self._deadline
