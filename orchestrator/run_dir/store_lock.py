"""One command at a time in a run directory that is an object store.

The lock is an object that its owner writes anew every few seconds, always on the condition that it
is what the owner wrote last; its time by the store's clock says when it was renewed. So a command
that was suspended, and whose lock another has taken over, cannot write over the other's: its next
renewal fails and it ends. What holds where the store has no conditional writes is said in
``SettledObject``.
"""

import time
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from orchestrator.run_dir.lock import LOCK, FolderLock, Lock
from orchestrator.run_dir.lock_owner import LockOwner
from trainables.errors import RunDirectoryError
from trainables.storage.object_store import OBJECT_STORES, Store
from trainables.storage.retry import Backoff
from trainables.storage.versioned_object import (
    ObjectChangedError,
    SettledObject,
    StoredObject,
    Version,
    VersionedObject,
)

CONFLICT_SECONDS, PAUSE_SECONDS = 5.0, 0.2
"""How long a store may say that another write is under way (S3's 409), and the first pause then."""


def lock_of(store: Store) -> Lock:
    """The lock of a run directory that is given as a URL; ``file://`` names a folder after all."""
    if store.scheme == "file":
        return FolderLock(Path(store.base), store.url)
    return StoreLock(store, lock_object(store))


def lock_object(store: Store) -> VersionedObject:
    """The lock of a store, by conditional writes where the store has them."""
    if store.scheme in OBJECT_STORES:
        # Imported here for start-up time: only run directories in object stores need it.
        from trainables.storage.conditional_writes import conditional_object

        conditional = conditional_object(store, LOCK)
        if conditional is not None:
            return conditional
    return SettledObject(store, LOCK)


class StoreLock(Lock):
    """A lock that is an object of a store.

    Args:
        store: the run directory.
        lock_object: the object in it.
    """

    def __init__(self, store: Store, lock_object: VersionedObject) -> None:
        super().__init__(store.url)
        self._store, self._object = store, lock_object
        self._version: Version = None

    def _take(self) -> None:
        current = self._object.read()
        if current is not None:
            self._refuse(owner_in(current), lambda: self._store.now() - current.modified)
        self._write(current.version if current is not None else None)
        if self._version is None:
            raise RunDirectoryError(
                f"{self.where}: another command took it at this moment; wait for it or choose "
                "another directory with --run-dir"
            )

    def _give_back(self) -> None:
        if self._version is None:
            return
        with suppress(OSError, ObjectChangedError):
            current = self._object.read()
            if current is not None and self._is_ours(current):
                self._object.remove(current)

    def _renew_once(self) -> None:
        current = self._write(self._version)
        if current is None:
            return
        owner = owner_in(current)
        # One that cannot be read is left alone: nobody is known to have taken it over.
        if owner is not None:
            self._lose(owner)

    def _write(self, expected: Version) -> StoredObject | None:
        """Write the lock if its version is ``expected``, or if it is absent.

        Returns:
            None if it is written, else what another command wrote there.

        Raises:
            OSError: the store cannot be reached, or never takes it.
        """
        self.owner = self.owner.model_copy(update={"renewals": self.owner.renewals + 1})
        content = (self.owner.model_dump_json(indent=1) + "\n").encode()
        backoff = Backoff(CONFLICT_SECONDS, PAUSE_SECONDS)
        while True:
            failure: Exception
            try:
                self._version = self._object.write(content, expected)
                return None
            except (ObjectChangedError, OSError) as error:
                failure = error
            current = self._object.read()
            if current is not None and current.content == content:
                # It was written, and only the answer was lost.
                self._version = current.version
                return None
            if isinstance(failure, OSError):
                raise failure
            if current is None:
                if self._ended.is_set():
                    return None
                expected = None
            elif self._is_ours(current):
                expected = current.version
            elif current.version != expected:
                return current
            pause = backoff.next_pause()
            if pause is None:
                raise TimeoutError(f"{self.where}: the lock is written by others all the time")
            time.sleep(pause)

    def _is_ours(self, current: StoredObject) -> bool:
        owner = owner_in(current)
        return owner is not None and owner.token == self.owner.token


def owner_in(current: StoredObject) -> LockOwner | None:
    """Who holds the lock; None if that cannot be read."""
    try:
        return LockOwner.model_validate_json(current.content)
    except ValidationError:
        return None
