"""Keeps the token and the files of a Ray on this machine from the machine's other users.

Ray looks for a token in the environment's ``RAY_AUTH_TOKEN``, then in the file that
``RAY_AUTH_TOKEN_PATH`` names, then in ``~/.ray/auth_token``, which it makes readable for everyone.
"""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from trainables.errors import ResourceError


def secure_token() -> None:
    """Make sure that a token exists, in a file that only its owner can read.

    A missing ``~/.ray/auth_token`` is made, and its permissions are restricted to this user. A
    file that ``RAY_AUTH_TOKEN_PATH`` names may belong to another user, as mounted secrets do.

    Raises:
        ResourceError: the default file is a link or another user's, or a file cannot be read.
    """
    if os.environ.get("RAY_AUTH_TOKEN"):
        return
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named) if named else default_token_path()
    try:
        if not named:
            _make(path)
        _close(path, named=bool(named))
    except OSError as error:
        key = "RAY_AUTH_TOKEN_PATH: " if named else ""
        raise ResourceError(
            f"{key}{path}: the token for Ray cannot be used ({error.strerror or error}); "
            "set RAY_AUTH_TOKEN_PATH to a file of yours that holds one"
        ) from error


def token_location() -> str:
    """Where the token is stored, to follow "the token in"; never the token itself."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return "the environment variable RAY_AUTH_TOKEN"
    return os.environ.get("RAY_AUTH_TOKEN_PATH") or str(default_token_path())


def default_token_path() -> Path:
    """``~/.ray/auth_token``, Ray's default."""
    return Path.home() / ".ray" / "auth_token"


def session_folder(parent: Path) -> Path:
    """A folder in ``parent`` for Ray's sessions that only this user can enter.

    By default Ray's logs, sockets and its workers' code are writable for everyone.

    Raises:
        ResourceError: a folder of that name is a link or another user's.
    """
    folder = parent / f"ray-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(handle).st_uid != os.getuid():
                raise OSError("it is another user's")
            os.fchmod(handle, 0o700)
        finally:
            os.close(handle)
    except OSError as error:
        raise ResourceError(
            f"{folder}: cannot be used for Ray's sessions ({error.strerror or error}); "
            "set RAY_TMPDIR to a folder of yours"
        ) from error
    return folder / "ray"


def _make(path: Path) -> None:
    """Write a new token if there is no file; of two processes, the first one's token stays."""
    if path.is_symlink() or path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        # A link fails if the name is taken, and never shows a half-written file.
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()


def _close(path: Path, *, named: bool) -> None:
    """Restrict the permissions of the opened file to its owner."""
    handle = os.open(path, os.O_RDONLY | (0 if named else os.O_NOFOLLOW))
    try:
        status = os.fstat(handle)
        ours = status.st_uid == os.getuid()
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is no file")
        if not status.st_size:
            raise OSError("it is empty")
        if not ours and not named:
            raise OSError("it is another user's")
        if ours and stat.S_IMODE(status.st_mode) & 0o077:
            os.fchmod(handle, 0o600)
    finally:
        os.close(handle)
