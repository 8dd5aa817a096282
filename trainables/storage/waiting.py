"""Waiting for a run directory that is away or full.

It may lie on a disk that is unmounted, moved or full, and come back. What a trial has computed is
not lost meanwhile: the trial holds it and waits. It never makes the directory anew, which would put
files beneath a mount point where nobody looks for them.
"""

import errno
import os
import re
import time
from collections.abc import Callable, Iterator

from safetensors import SafetensorError

from trainables.errors import StorageError
from trainables.storage.remote_run_dir import TrialTransfer
from trainables.storage.retry import Backoff
from trainables.storage.run_dir import RunPaths

NOTE_SECONDS = 0.5
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
"""Errors of a disk or a network file system that may yet recover, or be given room."""


class Storage:
    """The run directory that a trial writes to.

    Args:
        run_dir: its paths.
        transfer: hands over what was written, where the run directory is an object store.
        timeout: seconds that the trial waits for it (``checkpoint.storage_timeout``).
    """

    def __init__(self, run_dir: RunPaths, transfer: TrialTransfer, timeout: float) -> None:
        self._root, self._transfer, self._timeout = run_dir.root, transfer, timeout
        # An unmounted disk leaves an empty folder behind: the directory is known by its content.
        self._mark = run_dir.config if run_dir.config.exists() else run_dir.root

    def check(self) -> None:
        """Check that the run directory is there.

        Raises:
            StorageError: it is gone.
        """
        try:
            self._mark.stat()
        except OSError as error:
            raise StorageError(f"{self._root} is gone ({error.strerror})") from error

    def write_with_retry(
        self, name: str, write: Callable[[], object], timeout: float | None = None
    ) -> Iterator[str]:
        """Call ``write`` and upload what it wrote, until both succeed; yields while it waits.

        Args:
            name: of what is written, for the message.
            write: is called again after a failure of its own or of the upload.
            timeout: seconds, in place of the trial's own.

        Yields:
            Why it waits, about twice a second.

        Raises:
            StorageError: the storage did not take it in time.
            Exception: what ``write`` raised, where waiting would not help.
        """
        timeout = self._timeout if timeout is None else timeout
        backoff = Backoff(timeout)
        while True:
            try:
                self.check()
                write()
                self._transfer.push()
                return
            except Exception as error:
                reason = self._reason_to_wait(error)
                if reason is None:
                    raise
            pause = backoff.next_pause()
            if pause is None:
                raise StorageError(
                    f"{self._root}: {name} cannot be kept, waited {timeout:g} s for it ({reason});"
                    " bring the storage back or make room, then run the same command again "
                    "(checkpoint.storage_timeout sets how long a trial waits)"
                )
            deadline = time.monotonic() + pause
            while (remaining := deadline - time.monotonic()) > 0:
                yield f"waiting for storage: {reason}"
                time.sleep(min(remaining, NOTE_SECONDS))

    def write_now(self, write: Callable[[], object]) -> None:
        """Call ``write`` once, without waiting.

        Raises:
            StorageError: the run directory is gone, or its object store is.
            Exception: what ``write`` raised.
        """
        self.check()
        write()
        try:
            self._transfer.push()
        except OSError as error:
            raise StorageError(error.strerror or str(error)) from error

    def _reason_to_wait(self, error: Exception) -> str | None:
        """Why the storage does not take it now; None if it never will."""
        try:
            self.check()
        except StorageError as storage_error:
            return str(storage_error)
        error_code = error_number(error)
        if error_code == errno.EHOSTDOWN and isinstance(error, OSError):
            return error.strerror
        return os.strerror(error_code) if error_code in PASSING else None


def error_number(error: Exception) -> int | None:
    """The system's error number behind what a library raised about a file; None if unknown."""
    if isinstance(error, OSError):
        return error.errno
    match = re.search(r"os error (\d+)", str(error)) if isinstance(error, SafetensorError) else None
    return int(match[1]) if match else None
