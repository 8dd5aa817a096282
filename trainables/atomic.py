"""Files that are either whole or absent."""

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place if the block succeeds.

    The content is flushed to the disk before the rename, and the rename before the return, so a
    crash at any moment leaves the old file, the new one or none: never a part of one. The folder of
    ``path`` is made, one level of it: a run directory that vanishes is never made again from below.
    """
    path.parent.mkdir(exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename is None:
            # That a disk is full is told while writing, where the system knows no name.
            error.filename = str(path)
        raise
    sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically and durably."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_whole(path: Path) -> bytes:
    """Read a regular file. A pipe or device is refused, because reading it might never end.

    Raises:
        OSError: the file cannot be read or is not a regular file.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "This is no regular file", str(path))
    return path.read_bytes()


def sync_folder(folder: Path) -> None:
    """Fsync a folder, so that a crash does not undo files created, renamed or removed in it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
