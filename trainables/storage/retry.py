"""Try again after growing pauses, until a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds between two attempts; each pause is twice the one before."""

Result = TypeVar("Result")
Clock = Callable[[], float]
Sleep = Callable[[float], object]


class Backoff:
    """The pauses between attempts at something that fails for a while.

    Args:
        timeout: seconds from now after which there is no further attempt.
        first_pause: seconds.
        longest_pause: seconds.
        now: gives seconds.
    """

    def __init__(
        self,
        timeout: float,
        first_pause: float | None = None,
        longest_pause: float | None = None,
        now: Clock = time.monotonic,
    ) -> None:
        self._timeout, self._now = timeout, now
        self._first = FIRST_PAUSE if first_pause is None else first_pause
        self._longest = LONGEST_PAUSE if longest_pause is None else longest_pause
        self.reset()

    def reset(self) -> None:
        """Start over with the full timeout and the first pause, after an attempt that succeeded."""
        self._deadline = self._now() + self._timeout
        self._pause = self._first

    def next_pause(self) -> float | None:
        """Seconds to wait before the next attempt; None if the time is over."""
        rest = self._deadline - self._now()
        if rest <= 0:
            return None
        pause = min(self._pause, rest)
        self._pause = min(2 * self._pause, self._longest)
        return pause


def retry(
    action: Callable[[], Result],
    backoff: Backoff,
    retry_on: type[Exception] | tuple[type[Exception], ...] = OSError,
    on_failure: Callable[[Exception], object] = lambda error: None,
    sleep: Sleep = time.sleep,
) -> Result:
    """What ``action`` returns, tried again until it succeeds or the time is over.

    Args:
        action: has no effect where it raises.
        backoff: the pauses.
        retry_on: the errors after which it is tried again.
        on_failure: called with the error before each pause.
        sleep: waits so many seconds.

    Raises:
        Exception: the last error when the time is over, or one that is not in ``retry_on``.
    """
    while True:
        try:
            return action()
        except retry_on as error:
            pause = backoff.next_pause()
            if pause is None:
                raise
            on_failure(error)
        sleep(pause)
