"""Runs a tracker in a thread of its own, so that a slow or dead server costs a trial nothing."""

import time
from collections.abc import Callable
from queue import Full, Queue
from threading import Thread

from trainables.results.record import EpochResult
from trainables.secrets import redacted
from trainables.tracking.base import Tracker

LONGEST_QUEUE = 1000
"""Epochs that may be queued for a tracker before it is dropped."""

_hung: dict[str, Thread] = {}
"""Threads that did not end in time, by tracker. While one runs, the other trials of this process do
without its tracker, or each of them would wait for it again."""


class BackgroundTracker:
    """One tracker of one trial. Only ``wait`` waits for the thread.

    Args:
        name: name of the tracker, for ``problem``.
        make: creates the tracker; called in the thread.

    Attributes:
        problem: why the tracker was dropped; empty if it was not.
    """

    def __init__(self, name: str, make: Callable[[], Tracker]) -> None:
        self.problem = ""
        self._name = name
        self._make = make
        self._queue: Queue[EpochResult | str] = Queue(LONGEST_QUEUE)
        self._thread = Thread(target=self._work, name=f"tracker-{name}", daemon=True)
        earlier = _hung.get(name)
        if earlier is not None and earlier.is_alive():
            self._drop("it has not answered since an earlier trial")
        else:
            self._thread.start()

    def log(self, epoch: EpochResult) -> None:
        """See ``Tracker.log``."""
        self._put(epoch)

    def finish(self, status: str) -> None:
        """See ``Tracker.finish``; ``wait`` gives the tracker time for it."""
        self._put(status)

    def wait(self, end: float) -> None:
        """Wait until the thread has ended, at most until ``end`` (``time.monotonic``)."""
        if self.problem:
            return
        began = time.monotonic()
        self._thread.join(max(0.0, end - began))
        if self._thread.is_alive():
            _hung[self._name] = self._thread
            self._drop(f"no answer within {time.monotonic() - began:.0f} s")

    def _put(self, item: EpochResult | str) -> None:
        if self.problem:
            return
        try:
            self._queue.put_nowait(item)
        except Full:
            self._drop(f"{LONGEST_QUEUE} epochs wait for it")

    def _work(self) -> None:
        try:
            tracker = self._make()
            while not self.problem:
                item = self._queue.get()
                if isinstance(item, str):
                    tracker.finish(item)
                    return
                tracker.log(item)
        # Also SystemExit, which a library may raise.
        except BaseException as error:
            reason = " ".join(str(error).split())
            self._drop(f"{type(error).__name__}: {reason}"[:200])

    def _drop(self, reason: str) -> None:
        self.problem = redacted(f"{self._name} was dropped, the trial goes on: {reason}")
