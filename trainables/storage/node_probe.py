"""What a node of a cluster sees of a run directory and of data: the questions and the answers.

Asked in a process of the node, so nothing here imports what takes seconds.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from trainables.errors import RunDirectoryError
from trainables.storage.object_store import Store


@dataclass(frozen=True)
class ProbeRequest:
    """What a node is asked.

    Attributes:
        place: the run directory: a path, or the URL of an object store.
        stored: whether it is a URL.
        marker: name of the file that was just written there, and its content.
        files: path of data or of an encoder -> what its names and sizes came to here.
    """

    place: str
    stored: bool
    marker: str
    files: Mapping[str, str]


def look(wanted: ProbeRequest, node: str) -> dict[str, str]:
    """What a node finds: path -> what is wrong with it; ``written``: what it wrote."""
    answer: dict[str, str] = {}
    written = f"{wanted.marker}-{hashlib.sha256(node.encode()).hexdigest()[:16]}"
    try:
        if read(wanted, wanted.marker) != wanted.marker.encode():
            answer[wanted.place] = "has another folder of that name"
        else:
            write(wanted, written)
            answer["written"] = written
    except FileNotFoundError:
        there = wanted.stored or Path(wanted.place).is_dir()
        answer[wanted.place] = "has another folder of that name" if there else "has no such folder"
    except OSError as error:
        answer[wanted.place] = f"cannot use it ({error.strerror or error})"
    except RunDirectoryError as error:
        # For example a package that fsspec needs for it is missing on this node.
        answer[wanted.place] = f"cannot use it ({str(error).removeprefix(f'{wanted.place}: ')})"
    for path, expected in wanted.files.items():
        found = known(Path(path))
        if found != expected:
            answer[path] = (
                "has other files there than this machine; they must be the same"
                if found
                else "has not got it; copy it there under the same path, or use a file system that "
                "all nodes share"
            )
    return answer


def known(path: Path) -> str:
    """Names and sizes of the files at ``path``, hashed; empty: there is nothing."""
    if path.is_file():
        return str(path.stat().st_size)
    with suppress(OSError):
        there = sorted((p.name, p.stat().st_size) for p in path.iterdir() if p.is_file())
        return hashlib.sha256(repr(there).encode()).hexdigest()
    return ""


def write(wanted: ProbeRequest, name: str) -> None:
    """Write a file into the run directory; its content is its name."""
    if wanted.stored:
        Store(wanted.place).write(name, name.encode())
    else:
        # Never makes the folder: beneath a mount point nobody would look for it.
        (Path(wanted.place) / name).write_bytes(name.encode())


def read(wanted: ProbeRequest, name: str) -> bytes:
    """Read a file of the run directory."""
    if wanted.stored:
        return Store(wanted.place).read(name)
    return (Path(wanted.place) / name).read_bytes()
