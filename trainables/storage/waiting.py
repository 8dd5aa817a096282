"""The run directory as a trial sees it: there, full, or gone for a while.

It may lie on a disk that is unmounted, moved or full, and come back. What a trial has computed is
not lost meanwhile: the trial holds it and waits, and never makes the directory anew, which would
put files beneath a mount point where nobody looks for them.
"""

import errno
import os
import re
import time
from collections.abc import Callable, Iterator

from safetensors import SafetensorError

from trainables.errors import StorageError
from trainables.storage.run_dir import RunDir

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds between two attempts; each pause is twice the one before."""

WORD_SECONDS = 0.5
"""Longest silence of a trial that waits."""

PASSING = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EIO,
        errno.ESTALE,
        errno.EROFS,
        errno.ENODEV,
        errno.ENOTCONN,
        errno.ETIMEDOUT,
        errno.EHOSTDOWN,
    }
)
"""What a disk or a network file system says that may yet recover, or be given room."""


class Storage:
    """One trial's run directory.

    Args:
        layout: its paths.
        patience: seconds that the trial waits for it.
    """

    def __init__(self, layout: RunDir, patience: float) -> None:
        self._layout, self._root = layout, layout.root
        self._patience = patience
        # An unmounted disk leaves an empty folder behind: the directory is known by its content.
        self._mark = layout.config if layout.config.exists() else layout.root

    def check(self) -> None:
        """Find out whether the run directory is there.

        Raises:
            StorageError: it is gone.
        """
        try:
            self._mark.stat()
        except OSError as error:
            raise StorageError(f"{self._root} is gone ({error.strerror})") from error

    def keep(
        self, what: str, write: Callable[[], object], patience: float | None = None
    ) -> Iterator[str]:
        """Do ``write``, again and again where the storage does not take it; yields while it waits.

        Args:
            what: what is written, for the message.
            write: has no effect where it raises.
            patience: seconds, in place of the trial's own.

        Yields:
            Why it waits, about twice a second.

        Raises:
            StorageError: the patience is over.
            Exception: what ``write`` raised, where waiting would not help.
        """
        patience = self._patience if patience is None else patience
        end = time.monotonic() + patience
        pause = FIRST_PAUSE
        while True:
            try:
                self.check()
                write()
                self._layout.push()
                return
            except Exception as error:
                reason = self._passing(error)
                if reason is None:
                    raise
            if time.monotonic() >= end:
                raise StorageError(
                    f"{self._root}: {what} cannot be kept, waited {patience:g} s for it ({reason});"
                    " bring the storage back or make room, then run the same command again "
                    "(checkpoint.storage_timeout sets how long a trial waits)"
                )
            again = min(end, time.monotonic() + pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            while (rest := again - time.monotonic()) > 0:
                yield f"waiting for storage: {reason}"
                time.sleep(min(rest, WORD_SECONDS))

    def once(self, write: Callable[[], object]) -> None:
        """Do ``write`` without waiting.

        Raises:
            StorageError: the run directory is gone, or its object store is.
            Exception: what ``write`` raised.
        """
        self.check()
        write()
        try:
            self._layout.push()
        except OSError as error:
            raise StorageError(error.strerror or str(error)) from error

    def _passing(self, error: Exception) -> str | None:
        """Why the storage does not take it now; none: it never will."""
        try:
            self.check()
        except StorageError as gone:
            return str(gone)
        code = error_number(error)
        if code == errno.EHOSTDOWN and isinstance(error, OSError):
            return error.strerror
        return os.strerror(code) if code in PASSING else None


def error_number(error: Exception) -> int | None:
    """The system's error number behind what a library raised about a file."""
    if isinstance(error, OSError):
        return error.errno
    told = re.search(r"os error (\d+)", str(error)) if isinstance(error, SafetensorError) else None
    return int(told[1]) if told else None
