"""What a run directory is told so that it can be somewhere else too.

A run directory that lies on a disk has nothing to do; one that is an object store
(``trainables/mirror.py``, ``orchestrator/mirror.py``) has a copy on this machine, which all code
works with, and brings the two together.
"""

from pathlib import Path


class Place:
    """A run directory on a disk that all who work with it see."""

    url: str | None = None
    """Where it lies, if not here."""

    def shown(self, path: Path) -> str:
        """Where a file of it lies, for a human."""
        return str(path)

    def refresh(self) -> None:
        """Bring up to date here what others have written."""

    def pull(self) -> None:
        """Fetch what a trial needs before it starts."""

    def push(self) -> None:
        """Hand over what a trial has written; the record only after all that it refers to."""

    def push_progress(self) -> None:
        """Hand over what a trial says about itself."""

    def publish(self, *paths: Path, wait: bool = True) -> None:
        """Hand over these files; ``wait`` for a store that is away for a while."""

    def fetch(self, path: Path) -> None:
        """Bring one file up to date here that others may have written."""

    def removed(self, path: Path, *, listed: bool = True) -> None:
        """A file or folder was removed here; ``listed``: it is older than the last refresh."""

    def has(self, path: Path) -> bool | None:
        """Whether a file is there whole that need not be here; none: look at it here."""
        return None

    def newest_checkpoint(self, key: str) -> str | None:
        """Name of a trial's newest checkpoint where it is not here; none: look here."""
        return None
