"""One command at a time in a run directory, also where several computers share it.

The lock is a small file that says who holds it. On its holder's own computer it is known whether
that process still lives: its number, its start and the computer's own start must all agree.
Elsewhere the file's time tells: the holder renews it every few seconds, and it is compared with the
time of a new file in the same folder, so computers whose clocks differ agree.
"""

import hashlib
import os
import platform
import shlex
import signal
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import filelock
from pydantic import ValidationError

from trainables.errors import LockLostError, RunDirectoryError
from trainables.settings import Settings

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

COMMAND = 4000
"""Characters of its command that a holder tells of at most."""


class Holder(Settings):
    """The content of a lock file: who holds it."""

    token: str
    host: str
    computer: str
    boot: str
    namespace: str
    pid: int
    started: int | None
    since: str
    command: str

    def lives(self) -> bool | None:
        """Whether that process is there; none: it cannot be known from here."""
        if not self.boot:
            return None
        if self.boot != _boot():
            same = (self.host, self.computer) == (platform.node(), _computer())
            return False if same and self.computer else None
        if self.namespace != _namespace():
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            pass
        state, started = _process(self.pid)
        if started is None or self.started is None:
            return None
        return started == self.started and state not in "ZX"

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since} ({self.command[:300]})"


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
    lock = _Lock(root)
    try:
        lock.acquire()
        yield
    except KeyboardInterrupt:
        if lock.lost is not None:
            raise LockLostError(
                f"{root}: taken over by {lock.lost} while this process did not run; "
                "what is finished is kept and the other goes on with it"
            ) from None
        raise
    finally:
        lock.release()


class _Lock:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / LOCK
        self.lost: Holder | None = None
        self.holder = Holder(
            token=uuid.uuid4().hex,
            host=platform.node(),
            computer=_computer(),
            boot=_boot(),
            namespace=_namespace(),
            pid=os.getpid(),
            started=_process(os.getpid())[1],
            since=datetime.now(UTC).isoformat(timespec="seconds"),
            command=shlex.join(sys.orig_argv)[:COMMAND],
        )
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="run directory", daemon=True)
        self._interrupts = threading.current_thread() is threading.main_thread()

    def acquire(self) -> None:
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
        self._thread.start()

    def release(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(BEAT_SECONDS)
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
        lives = holder.lives() if holder is not None else None
        if lives is None:
            lives = storage_time(self.root) - renewed < STALE_SECONDS
            known = f"; if that computer is gone, try again in {STALE_SECONDS:.0f} s"
        else:
            known = ""
        if lives:
            raise RunDirectoryError(
                f"{self.root}: in use by {holder or f'somebody ({LOCK} cannot be read)'}; wait for "
                f"it, end it or choose another directory with --run-dir{known}"
            )

    def _renew(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            # Storage that is away for a while must not end the run.
            with suppress(OSError):
                self._renew_once()

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
        elif self.lost is None:
            self.lost = holder
            if self._interrupts:
                # As Ctrl-C does it, so that what waits ends waiting.
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def storage_time(folder: Path) -> float:
    """Unix seconds by the clock that gives the files in ``folder`` their times."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=PROBE) as probe:
        os.utime(probe.name)
        return Path(probe.name).stat().st_mtime


def read_lock(path: Path) -> tuple[Holder | None, float]:
    """Who holds the lock, none where that cannot be read, and when the file was renewed.

    An opened file's time is the server's; one that is only looked at may be remembered here.
    """
    with path.open("rb") as file:
        renewed = os.fstat(file.fileno()).st_mtime
        try:
            return Holder.model_validate_json(file.read()), renewed
        except ValidationError:
            return None, renewed


def _process(pid: int) -> tuple[str, int | None]:
    """State of a process and its start in ticks since the computer's; none: not known."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return fields[0], int(fields[19])
    except (OSError, ValueError, IndexError):
        return "", None


def _boot() -> str:
    """Differs between computers and after each start of one."""
    return _text("/proc/sys/kernel/random/boot_id")


def _computer() -> str:
    """Stays through restarts. Its source is not for other computers' eyes, so it is hashed."""
    number = _text("/etc/machine-id")
    return hashlib.sha256(number.encode()).hexdigest()[:16] if number else ""


def _namespace() -> str:
    """Containers on one computer have process numbers of their own."""
    with suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""


def _text(path: str) -> str:
    with suppress(OSError):
        return Path(path).read_text(encoding="utf-8").strip()
    return ""
