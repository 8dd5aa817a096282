"""One command at a time in a run directory, also where several computers share it.

The lock is a small file that says who holds it. On its holder's own computer it is known whether
that process still lives: its number, its start and the computer's own start must all agree.
Elsewhere the file's time tells: the holder renews it every few seconds, and it is compared with the
time of a new file in the same folder, so computers whose clocks differ agree.
"""

import os
import signal
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock
from pydantic import ValidationError

from orchestrator.run_dir.lock_owner import LockOwner, this_process
from trainables.errors import LockLostError, RunDirectoryError

LOCK = "lock.json"
GUARD = ".lock.guard"
"""Held for the moment in which the lock is looked at and taken; what it guards is a file's content,
so the guard's own file stays."""

PROBE = ".probe-"
"""What files are called that are made only to see whether and when they are made."""

BEAT_SECONDS = 5.0
STALE_SECONDS = 60.0
"""Without a sign of life for so long, a holder on another computer is dead."""

GUARD_SECONDS = 30.0


@contextmanager
def held(root: Path) -> Iterator[None]:
    """Hold the lock of the run directory ``root``, which must exist.

    A lock whose holder is dead is taken over. The file may vanish and come back with its storage,
    and one that was deleted is written again. If another process took the lock over, which happens
    only where this one was suspended for longer than ``STALE_SECONDS``, the main thread's block is
    interrupted.

    Raises:
        RunDirectoryError: somebody holds it, this process included.
        LockLostError: it was taken over.
        OSError: the folder cannot be written.
    """
    with holding(_Lock(root)):
        yield


@contextmanager
def holding(lock: "Lock") -> Iterator[None]:
    """Hold a lock, whatever it is made of; see ``held``."""
    try:
        lock.acquire()
        yield
    except KeyboardInterrupt:
        if lock.lost is not None:
            raise LockLostError(
                f"{lock.where}: taken over by {lock.lost} while this process did not run; "
                "what is finished is kept and the other goes on with it"
            ) from None
        raise
    finally:
        lock.release()


class Lock(ABC):
    """What locks have in common: a holder who says every few seconds that it lives.

    Args:
        where: the run directory, for messages.
    """

    def __init__(self, where: Path | str) -> None:
        self.where = where
        self.lost: LockOwner | None = None
        self.holder = this_process()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="run directory", daemon=True)
        self._interrupts = threading.current_thread() is threading.main_thread()

    def acquire(self) -> None:
        """Take it, and renew it from now on.

        Raises:
            RunDirectoryError: somebody holds it.
        """
        self._take()
        self._thread.start()

    def release(self) -> None:
        """Give it back, where it is held."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(BEAT_SECONDS)
        self._give_back()

    @abstractmethod
    def _take(self) -> None: ...

    @abstractmethod
    def _give_back(self) -> None: ...

    @abstractmethod
    def _renew_once(self) -> None: ...

    def _refuse(self, holder: LockOwner | None, silent: Callable[[], float]) -> None:
        """Refuse to take a lock whose holder lives, or has been ``silent`` for few seconds."""
        lives = holder.lives() if holder is not None else None
        known = ""
        if lives is None:
            lives = silent() < STALE_SECONDS
            known = f"; if that computer is gone, try again in {STALE_SECONDS:.0f} s"
        if lives:
            raise RunDirectoryError(
                f"{self.where}: in use by {holder or f'somebody ({LOCK} cannot be read)'}; wait "
                f"for it, end it or choose another directory with --run-dir{known}"
            )

    def _renew(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            # Storage that is away for a while must not end the run.
            with suppress(OSError):
                self._renew_once()

    def _lose(self, holder: LockOwner) -> None:
        """Somebody else holds it now."""
        if self.lost is None:
            self.lost = holder
            if self._interrupts:
                # As Ctrl-C does it, so that what waits ends waiting.
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


class _Lock(Lock):
    """A file."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.root = root
        self.path = root / LOCK

    def _take(self) -> None:
        try:
            with self._guard():
                self._refuse_if_held()
                self.path.unlink(missing_ok=True)
                self._create()
        except filelock.Timeout as error:
            raise RunDirectoryError(
                f"{self.root}: others are taking it at this moment; try again"
            ) from error
        except FileExistsError as error:
            # Only where the storage cannot guard: the file itself still has one maker.
            raise RunDirectoryError(
                f"{self.root}: another command took it at this moment; wait for it or choose "
                "another directory with --run-dir"
            ) from error

    def _give_back(self) -> None:
        if not self.root.is_dir():
            return  # The storage is away. What stays there is a dead process's lock: taken over.
        with suppress(OSError, filelock.Timeout), self._guard():
            holder, _ = read_lock(self.path)
            if holder is not None and holder.token == self.holder.token:
                self.path.unlink()

    def _guard(self) -> filelock.BaseFileLock:
        return filelock.FileLock(self.root / GUARD, timeout=GUARD_SECONDS)

    def _create(self) -> None:
        handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(self.holder.model_dump_json(indent=1) + "\n")

    def _refuse_if_held(self) -> None:
        try:
            holder, renewed = read_lock(self.path)
        except FileNotFoundError:
            return
        self._refuse(holder, lambda: storage_time(self.root) - renewed)

    def _renew_once(self) -> None:
        try:
            holder, _ = read_lock(self.path)
        except FileNotFoundError:
            if self.root.is_dir() and not self._ended.is_set():
                self._create()
            return
        if holder is None:
            return
        if holder.token == self.holder.token:
            os.utime(self.path)
        else:
            self._lose(holder)


def storage_time(folder: Path) -> float:
    """Unix seconds by the clock that gives the files in ``folder`` their times."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=PROBE) as probe:
        os.utime(probe.name)
        return Path(probe.name).stat().st_mtime


def read_lock(path: Path) -> tuple[LockOwner | None, float]:
    """Who holds the lock, none where that cannot be read, and when the file was renewed.

    An opened file's time is the server's; one that is only looked at may be remembered here.
    """
    with path.open("rb") as file:
        renewed = os.fstat(file.fileno()).st_mtime
        try:
            return LockOwner.model_validate_json(file.read()), renewed
        except ValidationError:
            return None, renewed
