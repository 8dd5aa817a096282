"""How a job's tables come home: as one block at the end of its log, whole or not at all.

The run directory of a cluster cannot be read from where ``submit`` was typed; the job's log
can, also after a connection was lost. The block is compressed JSON (file name -> text) as base64,
between two marker lines of which the first holds its SHA-256.
"""

import base64
import binascii
import gzip
import hashlib
import io
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from trainables.atomic import write_text
from trainables.errors import RunDirectoryError

NAMES = (
    *(f"table.{ending}" for ending in ("md", "csv", "json", "tex")),
    "report.html",
    *(f"tuning.{ending}" for ending in ("md", "csv", "json", "html")),
    "results.csv",
    "config.yaml",
    "environment.json",
)
"""The files of a run directory that are sent if they exist; no others are accepted."""

MANIFEST = "job.json"
"""Written last, with the SHA-256 of every file beside it; without it a folder is incomplete."""

BEGIN = "-----BEGIN RESULTS sha256:"
END = "-----END RESULTS-----"

LARGEST = 256 * 2**20
"""Most bytes that a block may unpack to."""

_WIDTH = 1000
_BLOCK = re.compile(rf"^{BEGIN}([0-9a-f]{{64}})-----\n(.*?)^{END}$", re.MULTILINE | re.DOTALL)


def read_results(run_dir: Path) -> dict[str, str]:
    """The files of a run directory to send: name -> text."""
    files = {}
    for name in NAMES:
        with suppress(FileNotFoundError):
            files[name] = (run_dir / name).read_text(encoding="utf-8")
    return files


def packed(files: Mapping[str, str]) -> str:
    """``files`` as a block of lines for a log."""
    data = gzip.compress(json.dumps(dict(files)).encode(), mtime=0)
    text = base64.b64encode(data).decode("ascii")
    lines = [text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH)]
    return "\n".join([f"{BEGIN}{hashlib.sha256(data).hexdigest()}-----", *lines, END, ""])


def unpacked(log: str) -> dict[str, str] | None:
    """The files of the last block of a log; None if there is no complete block.

    Names that are not in ``NAMES`` are ignored: a log never decides which files are written.
    """
    blocks = _BLOCK.findall(log)
    if not blocks:
        return None
    digest, text = blocks[-1]
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
        if hashlib.sha256(data).hexdigest() != digest:
            return None
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            plain = file.read(LARGEST + 1)
        files = json.loads(plain) if len(plain) <= LARGEST else None
    except (binascii.Error, OSError, EOFError, ValueError):
        return None
    if not isinstance(files, dict):
        return None
    return {name: files[name] for name in NAMES if isinstance(files.get(name), str)}


def check_folder(folder: Path) -> None:
    """Refuse a folder that already is a run directory, for fetched tables do not belong there.

    Raises:
        RunDirectoryError: it is a run directory or no folder.
    """
    if (folder / "plan.json").exists() or (folder.exists() and not folder.is_dir()):
        what = "a run directory of this machine" if folder.is_dir() else "no folder"
        raise RunDirectoryError(f"{folder}: is {what}; choose another place with --to")


def save(folder: Path, files: Mapping[str, str], about: Mapping[str, Any]) -> None:
    """Write fetched files, each atomically, and last the manifest that makes them complete.

    Args:
        folder: created if it is missing.
        files: name -> text.
        about: description of the job, for the manifest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    for name in NAMES:
        if name in files:
            write_text(folder / name, files[name])
        else:
            # A file of an earlier fetch, which does not belong to the others.
            (folder / name).unlink(missing_ok=True)
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    write_text(folder / MANIFEST, json.dumps({**about, "sha256": digests}, indent=1) + "\n")
