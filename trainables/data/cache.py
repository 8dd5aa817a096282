"""Where token caches lie, and whether they can be made."""

import os
import tempfile
from pathlib import Path

from trainables.errors import DataError


def check_cache_dir(cache_dir: str | None) -> None:
    """Find out before anything is trained whether a token cache can be made.

    One that holds something already may be read-only.

    Raises:
        DataError: it cannot.
    """
    root = token_folder(Path(cache_dir) if cache_dir else None)
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not any(root.iterdir()):
            with tempfile.TemporaryFile(dir=root) as probe:
                probe.write(bytes(1 << 16))
    except OSError as error:
        raise unusable(root, error) from error


def unusable(root: Path, error: OSError) -> DataError:
    """What is said of a token cache at ``root`` that failed with ``error``."""
    return DataError(
        f"{root}: the token cache cannot be used: {error.strerror or error}; set data.cache_dir or "
        "the environment variable ONE_OR_MANY_CACHE to a writable folder with room"
    )


def token_folder(cache_dir: Path | None) -> Path:
    """Where token caches lie under ``cache_dir``; none: see :func:`default_cache_dir`."""
    return (cache_dir or default_cache_dir()) / "tokens"


def default_cache_dir() -> Path:
    """``$ONE_OR_MANY_CACHE``, else ``one-model-or-many`` in the user's cache folder."""
    if own := os.environ.get("ONE_OR_MANY_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "one-model-or-many"
