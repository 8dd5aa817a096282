"""Small facts about files, kept in the folder of the token cache while the files stay the same.

A file counts as the same while its path, size, time and inode are. What a trial trains on never
comes from here: it reads the data itself and compares fingerprints.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from trainables.atomic import read_whole, write_text

SETTLED_SECONDS = 2.0
"""A file changed less than this ago may change again within the resolution of its time."""

_memory: dict[str, Any] = {}
"""The facts of this process."""


def remembered(root: Path, about: Any, make: Callable[[], Any]) -> Any:
    """Look up a fact, or find it out and keep it.

    A damaged file is made anew. Where the folder cannot be written, the fact is kept for this
    process alone.

    Args:
        root: the folder of the token cache.
        about: what the fact depends on, as JSON values; None if that is not known: nothing is kept.
        make: finds it out, as JSON values.
    """
    if about is None:
        return make()
    key = _sha256(json.dumps(about, sort_keys=True))[:32]
    if key not in _memory:
        path = root / f"{key}.json"
        fact = _read(path)
        if fact is None:
            fact = make()
            text = json.dumps(fact)
            with suppress(OSError):
                root.mkdir(parents=True, exist_ok=True)
                write_text(path, json.dumps({"fact": text, "sha256": _sha256(text)}) + "\n")
        _memory[key] = fact
    return _memory[key]


def _read(path: Path) -> Any:
    """The fact in a file; None if there is none, or it is damaged."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        content = json.loads(read_whole(path))
        if content["sha256"] == _sha256(content["fact"]):
            return json.loads(content["fact"])
    return None


def files_identity(paths: Iterable[Path]) -> list[Any] | None:
    """What changes when one of the files does; None if one is missing or has just changed."""
    identity = []
    for path in sorted(paths):
        try:
            stat = path.stat()
        except (OSError, ValueError):
            return None
        if abs(time.time() - stat.st_mtime) < SETTLED_SECONDS:
            return None
        identity.append([str(path.absolute()), stat.st_size, stat.st_mtime_ns, stat.st_ino])
    return identity


@cache
def code_identity(*folders: Path) -> str:
    """Hexadecimal SHA-256 over the Python files of folders."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
