"""The folders of the token cache: written atomically and verified by checksum.

A folder is written under a temporary name and renamed when it is complete; its manifest holds the
size and the SHA-256 of each file.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from trainables.atomic import read_whole, sync_folder
from trainables.errors import DataError

READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
"""Error numbers of a folder that may be read but not written."""

_verified: set[tuple[str, int, int]] = set()
"""Manifests (path, inode, time) whose files this process has verified."""


def check_cache_dir(cache_dir: str | None) -> None:
    """Check before training that the token cache can be used.

    A cache with content may be read-only: trials then tokenize what is missing for themselves.

    Raises:
        DataError: the cache cannot be created or written.
    """
    root = token_folder(Path(cache_dir) if cache_dir else None)
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not is_filled(root):
            with tempfile.TemporaryFile(dir=root) as probe:
                probe.write(bytes(1 << 16))
    except OSError as error:
        raise cache_error(root, error) from error


def is_filled(root: Path) -> bool:
    """Whether the token cache exists and holds more than facts (see ``fact_cache.py``)."""
    return root.is_dir() and any(path.suffix != ".json" for path in root.iterdir())


def cache_error(root: Path, error: OSError) -> DataError:
    """The error for a token cache that failed with ``error``."""
    return DataError(
        f"{root}: the token cache cannot be used: {error.strerror or error}; set data.cache_dir or "
        "the environment variable ONE_OR_MANY_CACHE to a writable folder with room"
    )


def token_folder(cache_dir: Path | None) -> Path:
    """Folder of the token cache under ``cache_dir``; None for :func:`default_cache_dir`."""
    return (cache_dir or default_cache_dir()) / "tokens"


def default_cache_dir() -> Path:
    """``$ONE_OR_MANY_CACHE``, else ``one-model-or-many`` in the user's cache folder."""
    if own := os.environ.get("ONE_OR_MANY_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "one-model-or-many"


def build(folder: Path, make: Callable[[], dict[str, np.ndarray]]) -> None:
    """Write the arrays that ``make`` returns, by file name; the caller holds the folder's lock."""
    for leftover in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(leftover)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        files = {}
        for name, array in make().items():
            with (temporary / name).open("wb") as file:
                np.save(file, array)
                file.flush()
                os.fsync(file.fileno())
            files[name] = {
                "size": (temporary / name).stat().st_size,
                "sha256": _sha256(temporary / name),
            }
        with (temporary / "manifest.json").open("w", encoding="utf-8") as file:
            json.dump({"files": files, "sha256": _sha256_of(files)}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o755)
        sync_folder(temporary)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
        sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def is_intact(folder: Path) -> bool:
    """Whether every file in the manifest exists and is undamaged.

    Sizes are always compared, checksums only when this process first reads the manifest.
    """
    path = folder / "manifest.json"
    try:
        stat = path.stat()
        manifest = json.loads(read_whole(path))
        files = manifest["files"]
        if manifest["sha256"] != _sha256_of(files):
            return False
        if any((folder / name).stat().st_size != file["size"] for name, file in files.items()):
            return False
        identity = (str(path), stat.st_ino, stat.st_mtime_ns)
        if identity not in _verified:
            if any(_sha256(folder / name) != file["sha256"] for name, file in files.items()):
                return False
            _verified.add(identity)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
    return True


def _sha256_of(files: dict[str, dict[str, Any]]) -> str:
    """The manifest's own checksum."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
