"""Who holds a lock: a process on a computer, and whether it is still alive."""

import hashlib
import os
import platform
import shlex
import sys
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from trainables.config.base import Settings

COMMAND = 4000
"""Most characters of its command line that a lock holds."""


class LockOwner(Settings):
    """The content of a lock: who holds it.

    Attributes:
        token: another one for every holder.
        host: name of the computer.
        computer: tells computers apart, hashed; empty if unknown.
        boot: differs after each start of the computer; empty if unknown.
        namespace: in which process numbers count; containers have their own.
        pid: process number.
        started: start of the process in ticks since that of the computer; None if unknown.
        since: when it took the lock, in ISO 8601, UTC.
        command: its command line.
        renewals: how many times the lock was written in an object store.
    """

    token: str
    host: str
    computer: str
    boot: str
    namespace: str
    pid: int
    started: int | None
    since: str
    command: str
    renewals: int = 0

    def is_alive(self) -> bool | None:
        """Whether the process still runs; None if that cannot be known from here."""
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
        state, started = process(self.pid)
        if started is None or self.started is None:
            return None
        return started == self.started and state not in "ZX"

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since} ({self.command[:300]})"


def this_process() -> LockOwner:
    """This process, as the owner of a new lock."""
    return LockOwner(
        token=uuid.uuid4().hex,
        host=platform.node(),
        computer=_computer(),
        boot=_boot(),
        namespace=_namespace(),
        pid=os.getpid(),
        started=process(os.getpid())[1],
        since=datetime.now(UTC).isoformat(timespec="seconds"),
        command=shlex.join(sys.orig_argv)[:COMMAND],
    )


def process(pid: int) -> tuple[str, int | None]:
    """State of a process and its start in ticks since the computer's; None if unknown."""
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
