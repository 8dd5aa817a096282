"""One object of a store that is written only if nobody else has written it meanwhile.

S3, Google Cloud Storage and Azure check that themselves, in one step with the write
(``conditional_writes``). Where a store cannot, the object is read before the write and again some
time after it: of two writers at the same moment the last one wins and the other finds out.
"""

import time
from dataclasses import dataclass
from typing import Any, Protocol

from trainables.storage.object_store import Store

SETTLE_SECONDS = 1.0
"""From writing an object to reading it again; much longer than from reading to writing."""

Version = Any
"""What two states of an object are told apart by; comparable, and never None."""


class ObjectChangedError(Exception):
    """The object is not what it was when it was read, so it was not written or removed."""


@dataclass(frozen=True)
class StoredObject:
    """An object as it was read.

    Attributes:
        content: all of it.
        version: tells it from every other state of the object.
        modified: Unix seconds of the last write, by the store's clock.
    """

    content: bytes
    version: Version
    modified: float


class VersionedObject(Protocol):
    """An object that can be written on the condition that it has not changed.

    Every method raises ``OSError`` where the store cannot be reached or refuses; whether a write
    whose answer was lost took place is then unknown, and reading tells.
    """

    def read(self) -> StoredObject | None:
        """The object; None if absent."""
        ...

    def write(self, content: bytes, expected: Version | None) -> Version:
        """Write it if its version is still ``expected`` (None: if it is absent).

        Returns:
            The new version.

        Raises:
            ObjectChangedError: it is another one.
        """
        ...

    def remove(self, expected: StoredObject) -> None:
        """Remove it if it is still ``expected``.

        Raises:
            ObjectChangedError: it is another one.
        """
        ...


class SettledObject:
    """An object of a store without conditional writes: read, written, and read again later.

    Its version is its content, so every write must differ from the one before. Of two writers at
    the same moment only one gets no ``ObjectChangedError``, unless one of them is suspended between
    its first reading and its writing for longer than ``SETTLE_SECONDS``.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name = store, name

    def read(self) -> StoredObject | None:
        """See ``VersionedObject.read``."""
        info = self._store.info(self._name)
        content = self._content() if info is not None else None
        if info is None or content is None:
            return None
        return StoredObject(content, content, info.seconds)

    def write(self, content: bytes, expected: Version | None) -> Version:
        """See ``VersionedObject.write``."""
        if self._content() != expected:
            raise ObjectChangedError
        self._store.write(self._name, content)
        time.sleep(SETTLE_SECONDS)
        if self._content() != content:
            raise ObjectChangedError
        return content

    def remove(self, expected: StoredObject) -> None:
        """See ``VersionedObject.remove``."""
        if self._content() != expected.content:
            raise ObjectChangedError
        self._store.remove(self._name)

    def _content(self) -> bytes | None:
        try:
            return self._store.read(self._name)
        except FileNotFoundError:
            return None
