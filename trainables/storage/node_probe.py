"""Checks in a process of a cluster's node: can it reach the run directory, data and encoders?

Nothing here imports what takes seconds.
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
    """What a node checks.

    Attributes:
        run_dir: a path, or the URL of an object store.
        is_url: whether it is a URL.
        marker: name and content of a file that was just written there.
        files: path of data or of an encoder -> its fingerprint on the asking machine.
    """

    run_dir: str
    is_url: bool
    marker: str
    files: Mapping[str, str]


def probe(request: ProbeRequest, node: str) -> dict[str, str]:
    """Check what ``request`` names on the node ``node``.

    Returns:
        path -> what is wrong with it; ``written`` -> name of a file that the node wrote into the
        run directory.
    """
    answer: dict[str, str] = {}
    own_file = f"{request.marker}-{hashlib.sha256(node.encode()).hexdigest()[:16]}"
    try:
        if read(request, request.marker) != request.marker.encode():
            answer[request.run_dir] = "has another folder of that name"
        else:
            write(request, own_file)
            answer["written"] = own_file
    except FileNotFoundError:
        exists = request.is_url or Path(request.run_dir).is_dir()
        answer[request.run_dir] = (
            "has another folder of that name" if exists else "has no such folder"
        )
    except OSError as error:
        answer[request.run_dir] = f"cannot use it ({error.strerror or error})"
    except RunDirectoryError as error:
        # For example a package that fsspec needs for it is missing on this node.
        reason = str(error).removeprefix(f"{request.run_dir}: ")
        answer[request.run_dir] = f"cannot use it ({reason})"
    for path, expected in request.files.items():
        actual = fingerprint(Path(path))
        if actual != expected:
            answer[path] = (
                "has other files there than this machine; they must be the same"
                if actual
                else "has not got it; copy it there under the same path, or use a file system that "
                "all nodes share"
            )
    return answer


def fingerprint(path: Path) -> str:
    """A hash of the names and sizes of the files at ``path``; empty if there are none."""
    if path.is_file():
        return str(path.stat().st_size)
    with suppress(OSError):
        files = sorted((p.name, p.stat().st_size) for p in path.iterdir() if p.is_file())
        return hashlib.sha256(repr(files).encode()).hexdigest()
    return ""


def write(request: ProbeRequest, name: str) -> None:
    """Write a file into the run directory; its content is its name."""
    if request.is_url:
        Store(request.run_dir).write(name, name.encode())
    else:
        # Never creates the folder: beneath a mount point nobody would look for it.
        (Path(request.run_dir) / name).write_bytes(name.encode())


def read(request: ProbeRequest, name: str) -> bytes:
    """Read a file of the run directory."""
    if request.is_url:
        return Store(request.run_dir).read(name)
    return (Path(request.run_dir) / name).read_bytes()
