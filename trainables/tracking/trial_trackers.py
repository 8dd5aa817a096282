"""What a trial tells its trackers, and the curves that it keeps itself."""

from collections.abc import Sequence
from contextlib import suppress

from trainables.config.trial import Runtime, TrialConfig
from trainables.errors import StorageError
from trainables.results.record import EpochResult
from trainables.storage.run_dir import RunDir
from trainables.storage.waiting import Storage
from trainables.tracking.background import Background
from trainables.tracking.curves import write_curves
from trainables.tracking.registry import end, track


class Tracking:
    """One trial, seen by the trackers that ``runtime.tracking.trackers`` names.

    None of its methods fails because of a tracker, and ``finish`` alone waits, a bounded time.
    """

    def __init__(self, config: TrialConfig, runtime: Runtime, storage: Storage) -> None:
        self._config = config
        self._runtime = runtime
        self._storage = storage
        self._layout = RunDir(runtime.output_dir)
        self._trackers: list[Background] = []
        self._told = 0

    def begin(self, history: Sequence[EpochResult]) -> None:
        """Start the trackers, and tell them what they may have missed before an interruption."""
        names = self._runtime.tracking.trackers
        self._trackers = [track(name, self._config, self._runtime) for name in names]
        self.follow(history)

    def follow(self, history: Sequence[EpochResult]) -> None:
        """Tell of epochs that are new in a trial's history; returns at once."""
        if len(history) == self._told:
            return
        for epoch in history[self._told :]:
            for tracker in self._trackers:
                tracker.log(epoch)
        self._told = len(history)
        self.keep(history)

    def keep(self, history: Sequence[EpochResult]) -> None:
        """Write the curves as CSV; where that is impossible, the next call may."""
        if history:
            with suppress(OSError, StorageError):
                self._storage.check()
                write_curves(self._layout, self._config, history)

    def finish(self, status: str) -> None:
        """See ``Tracker.finish``."""
        end(self._trackers, status)

    def noted(self, note: str) -> str:
        """A trial's note, and which trackers were dropped and why."""
        dropped = [tracker.problem for tracker in self._trackers]
        return "; ".join(filter(None, [note, *dropped]))
