"""Ctrl-C and SIGTERM: acted upon where nothing is left half-way."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Handles a signal where it can be acted upon: at ``check``; the second time at once."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def check(self) -> None:
        """Raise ``KeyboardInterrupt`` where a signal has come."""
        if self.asked:
            raise KeyboardInterrupt


def interrupt(number: int, frame: FrameType | None) -> None:
    """A handler that acts at once."""
    raise KeyboardInterrupt


@contextmanager
def signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> Iterator[None]:
    """Ctrl-C and SIGTERM go to ``handler``; outside the main thread nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
