"""Finished blocks of an output, kept beside it until all are there: what makes it resumable."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import filelock

from orchestrator.deploy.bulk.outputs import Output
from trainables.atomic import replacing, sync_folder, write_text
from trainables.errors import ConfigError, DataError

HEAD = 1 << 20
"""Bytes at the beginning of an input by which, besides size and time, a changed one is noticed."""

MANIFEST = "manifest.json"


def pin_of(path: Path) -> dict[str, Any]:
    """What tells a file from a changed one: size, time of the change, digest of the beginning."""
    status = path.stat()
    with path.open("rb") as file:
        head = hashlib.sha256(file.read(HEAD)).hexdigest()
    return {"bytes": status.st_size, "changed_ns": status.st_mtime_ns, "head_sha256": head}


class Parts:
    """The folder ``OUTPUT.parts``: a manifest, a lock, and a file for each finished block.

    Args:
        output: the file that will be made of the parts.
        pins: name -> what must be the same for parts to count; None: parts of an earlier command
            never count.

    Raises:
        ConfigError: the output is there already, or another process writes it.
        DataError: the parts are of another input, model or option.
    """

    def __init__(self, output: Path, pins: Mapping[str, Any] | None) -> None:
        self._output = output
        self.folder = output.with_name(f"{output.name}.parts")
        if output.exists() and not (self.folder / MANIFEST).is_file():
            raise ConfigError(f"{output}: is there already; delete it or choose another --output")
        if not output.parent.is_dir():
            raise ConfigError(f"{output}: the folder {output.parent} does not exist (--output)")
        self.folder.mkdir(exist_ok=True)
        self._lock = filelock.FileLock(self.folder / "lock")
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            raise ConfigError(f"{output}: another process writes it; wait for its end") from None
        try:
            self._take(pins)
        except BaseException:
            self._lock.release()
            raise

    def _take(self, pins: Mapping[str, Any] | None) -> None:
        manifest = self.folder / MANIFEST
        written = json.dumps(pins, indent=1) + "\n"
        if manifest.is_file() and pins is not None:
            old = _read(manifest)
            pinned = json.loads(written)
            changed = [name for name in pins if old.get(name) != pinned[name]]
            if changed:
                raise DataError(
                    f"{self.folder}: was begun with another {', another '.join(changed)}; delete "
                    "the folder to begin anew, or choose another --output"
                )
            return
        for path in self.folder.iterdir():
            if path.name != "lock":
                path.unlink()
        write_text(manifest, written)

    def close(self) -> None:
        """Let another process have the folder."""
        self._lock.release()

    def has(self, number: int) -> bool:
        """Whether a block is finished."""
        return self._part(number).is_file()

    def add(self, number: int, write: Callable[[Path], None]) -> None:
        """Write a block, whole or not at all."""
        with replacing(self._part(number)) as temporary:
            write(temporary)

    def finish(self, count: int, output: Output) -> None:
        """Make the output of so many blocks, and remove the folder."""
        joined = self.folder / "joined"
        with replacing(joined) as temporary:
            output.join((self._part(number) for number in range(count)), temporary)
        joined.replace(self._output)
        sync_folder(self._output.parent)
        # Without the manifest, what is left of the folder counts for nothing.
        (self.folder / MANIFEST).unlink()
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:08d}"


def _read(manifest: Path) -> dict[str, Any]:
    with suppress(ValueError, UnicodeDecodeError):
        content = json.loads(manifest.read_text("utf-8"))
        if isinstance(content, dict):
            return content
    return {}
