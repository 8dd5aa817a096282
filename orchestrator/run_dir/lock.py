"""One command at a time in a run directory, also where several computers share it.

The lock is a small file that says who holds it. On its owner's own computer it is known whether
that process is still alive: its number, its start and the computer's own start must all agree.
Elsewhere the file's time tells: the owner renews it every few seconds, and it is compared with the
time of a new file in the same folder, so computers whose clocks differ agree.
"""

import os
import signal
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import filelock
from pydantic import ValidationError

from orchestrator.run_dir.lock_owner import LockOwner, this_process
from trainables.errors import LockLostError, RunDirectoryError
from trainables.storage.run_dir import PROBE

LOCK = "lock.json"
GUARD = ".lock.guard"
"""Held while the lock is read and taken; its own file stays."""

BEAT_SECONDS = 5.0
STALE_SECONDS = 60.0
"""An owner on another computer that has not renewed its lock for so long is dead."""

GUARD_SECONDS = 30.0

LAST_RENEWAL_SECONDS = 5.0
"""How long a renewal that is under way is waited for before the lock is given back."""


@contextmanager
def holding(lock: "Lock") -> Iterator[None]:
    """Hold a lock while the block runs.

    A lock whose owner is dead is taken over. It may vanish and come back with its storage, and one
    that was deleted is written again. If another process took the lock over, which happens only
    where this one was suspended for longer than ``STALE_SECONDS``, the main thread's block is
    interrupted.

    Raises:
        RunDirectoryError: another command holds it, or this process does already.
        LockLostError: it was taken over.
        OSError: the run directory cannot be reached or written.
    """
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


def hold_lock(root: Path) -> AbstractContextManager[None]:
    """Hold the lock of the run directory ``root``, which must exist; see ``holding``."""
    return holding(FolderLock(root))


class Lock(ABC):
    """A lock that its owner renews every few seconds.

    Args:
        where: the run directory, for messages.

    Attributes:
        owner: this process.
        lost: who has taken it over; None if nobody has.
    """

    def __init__(self, where: Path | str) -> None:
        self.where = where
        self.lost: LockOwner | None = None
        self.owner = this_process()
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
            self._thread.join(LAST_RENEWAL_SECONDS)
        self._give_back()

    @abstractmethod
    def _take(self) -> None: ...

    @abstractmethod
    def _give_back(self) -> None: ...

    @abstractmethod
    def _renew_once(self) -> None: ...

    def _refuse(self, owner: LockOwner | None, age: Callable[[], float]) -> None:
        """Refuse to take a lock whose owner is alive.

        Args:
            owner: None if the lock cannot be read.
            age: gives the seconds since the lock was renewed, which count where nothing else tells.
        """
        alive = owner.is_alive() if owner is not None else None
        advice = ""
        if alive is None:
            alive = age() < STALE_SECONDS
            advice = f"; if that computer is gone, try again in {STALE_SECONDS:.0f} s"
        if alive:
            raise RunDirectoryError(
                f"{self.where}: in use by {owner or f'somebody ({LOCK} cannot be read)'}; wait "
                f"for it, end it or choose another directory with --run-dir{advice}"
            )

    def _renew(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            # Storage that is away for a while must not end the run.
            with suppress(OSError):
                self._renew_once()

    def _lose(self, owner: LockOwner) -> None:
        """Note that ``owner`` holds it now, and interrupt the main thread."""
        if self.lost is None:
            self.lost = owner
            if self._interrupts:
                # As Ctrl-C does it, so that what waits ends waiting.
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


class FolderLock(Lock):
    """The lock file of the folder ``root``, which must exist."""

    def __init__(self, root: Path, where: str | None = None) -> None:
        super().__init__(where or root)
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
                f"{self.where}: others are taking it at this moment; try again"
            ) from error
        except FileExistsError as error:
            # Only where the storage has no file locks: the file still has one maker.
            raise RunDirectoryError(
                f"{self.where}: another command took it at this moment; wait for it or choose "
                "another directory with --run-dir"
            ) from error

    def _give_back(self) -> None:
        if not self.root.is_dir():
            return  # The storage is away. A dead process's lock stays there and is taken over.
        with suppress(OSError, filelock.Timeout), self._guard():
            owner, _ = read_lock(self.path)
            if owner is not None and owner.token == self.owner.token:
                self.path.unlink()

    def _guard(self) -> filelock.BaseFileLock:
        return filelock.FileLock(self.root / GUARD, timeout=GUARD_SECONDS)

    def _create(self) -> None:
        handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(self.owner.model_dump_json(indent=1) + "\n")

    def _refuse_if_held(self) -> None:
        try:
            owner, renewed = read_lock(self.path)
        except FileNotFoundError:
            return
        self._refuse(owner, lambda: storage_time(self.root) - renewed)

    def _renew_once(self) -> None:
        try:
            owner, _ = read_lock(self.path)
        except FileNotFoundError:
            if self.root.is_dir() and not self._ended.is_set():
                self._create()
            return
        if owner is None:
            return
        if owner.token == self.owner.token:
            os.utime(self.path)
        else:
            self._lose(owner)


def storage_time(folder: Path) -> float:
    """Unix seconds by the clock that gives the files in ``folder`` their times."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=PROBE) as probe:
        os.utime(probe.name)
        return Path(probe.name).stat().st_mtime


def read_lock(path: Path) -> tuple[LockOwner | None, float]:
    """Who holds the lock (None if that cannot be read), and when it was renewed, in Unix seconds.

    The file is opened, for then its time is the server's and not one that this machine remembers.
    """
    with path.open("rb") as file:
        renewed = os.fstat(file.fileno()).st_mtime
        try:
            return LockOwner.model_validate_json(file.read()), renewed
        except ValidationError:
            return None, renewed
