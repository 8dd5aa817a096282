"""The trackers of one trial, and its own learning curves as CSV."""

from collections.abc import Sequence
from contextlib import suppress

from trainables.config.trial import Runtime, TrialConfig
from trainables.errors import StorageError
from trainables.results.record import EpochResult
from trainables.storage.run_dir import RunDir
from trainables.storage.waiting import Storage
from trainables.tracking import registry
from trainables.tracking.background import BackgroundTracker
from trainables.tracking.curves import write_curves


class TrialTrackers:
    """The trackers that ``runtime.tracking.trackers`` names, for one trial.

    No method fails because of a tracker. Only ``finish`` waits for them, for a limited time.
    """

    def __init__(self, config: TrialConfig, runtime: Runtime, storage: Storage) -> None:
        self._config = config
        self._runtime = runtime
        self._storage = storage
        self._run_dir = RunDir(runtime.output_dir)
        self._trackers: list[BackgroundTracker] = []
        self._logged = 0

    def start(self, history: Sequence[EpochResult]) -> None:
        """Start the trackers and log the epochs of a resumed trial that they may have missed."""
        names = self._runtime.tracking.trackers
        self._trackers = [registry.track(name, self._config, self._runtime) for name in names]
        self.log(history)

    def log(self, history: Sequence[EpochResult]) -> None:
        """Log the epochs that are new in a trial's history; returns at once."""
        if len(history) == self._logged:
            return
        for epoch in history[self._logged :]:
            for tracker in self._trackers:
                tracker.log(epoch)
        self._logged = len(history)
        self.write_curves(history)

    def write_curves(self, history: Sequence[EpochResult]) -> None:
        """Write the learning curves as CSV; an error is ignored, the next call tries again."""
        if history:
            with suppress(OSError, StorageError):
                self._storage.check()
                write_curves(self._run_dir, self._config, history)

    def finish(self, status: str) -> None:
        """See ``Tracker.finish``."""
        registry.finish(self._trackers, status)

    def notes(self, note: str) -> str:
        """``note``, followed by which trackers were dropped and why."""
        dropped = [tracker.problem for tracker in self._trackers]
        return "; ".join(filter(None, [note, *dropped]))
