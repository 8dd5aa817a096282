"""One command at a time in a run directory that is an object store.

The lock is an object that its holder writes anew every few seconds; its time by the store's clock
says when it was renewed last. Stores have no "make it unless it is there" that all of them know, so
whoever takes the lock writes it, waits, and looks whether its own is what stands there. Two that
take it at the same moment are told apart by that, unless one of them is suspended for longer than
the wait exactly between its looking and its writing; it then finds out at its next renewal.
"""

import time
from contextlib import suppress

from pydantic import ValidationError

from orchestrator.run_dir.lock import LOCK, PROBE, Lock
from orchestrator.run_dir.lock_owner import LockOwner
from trainables.errors import RunDirectoryError
from trainables.storage.object_store import Store

SETTLE_SECONDS = 1.0
"""From writing the lock to looking who has it; much longer than from looking to writing."""


class StoreLock(Lock):
    """The lock object of the folder that ``store`` is."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.url)
        self._store = store
        self._content = (self.holder.model_dump_json(indent=1) + "\n").encode()

    def _take(self) -> None:
        seen = self._store.seen(LOCK)
        if seen is not None:
            self._refuse(self._read(), lambda: self._now() - seen.seconds)
        self._store.write(LOCK, self._content)
        time.sleep(SETTLE_SECONDS)
        holder = self._read()
        if holder is None or holder.token != self.holder.token:
            raise RunDirectoryError(
                f"{self.where}: another command took it at this moment; wait for it or choose "
                "another directory with --run-dir"
            )

    def _give_back(self) -> None:
        with suppress(OSError):
            holder = self._read()
            if holder is not None and holder.token == self.holder.token:
                self._store.remove(LOCK)

    def _renew_once(self) -> None:
        try:
            holder = self._read()
        except FileNotFoundError:
            holder = self.holder
        if holder is not None and holder.token != self.holder.token:
            self._lose(holder)
        elif not self._ended.is_set():
            self._store.write(LOCK, self._content)

    def _read(self) -> LockOwner | None:
        """Who holds it; none: that cannot be read."""
        try:
            return LockOwner.model_validate_json(self._store.read(LOCK))
        except ValidationError:
            return None

    def _now(self) -> float:
        """Unix seconds by the store's clock."""
        probe = f"{PROBE}{self.holder.token}"
        self._store.write(probe, b"")
        seen = self._store.seen(probe)
        self._store.remove(probe)
        return seen.seconds if seen is not None else time.time()
