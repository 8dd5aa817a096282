"""A folder of an object store, or of any file system that a URL names.

S3, Google Cloud Storage, Azure and plain files come with pyarrow; of other schemes fsspec knows,
where its package for the scheme is installed. An object is whole or absent: stores replace objects
in one step, and elsewhere a file is written under another name and renamed.
"""

import errno
import os
import re
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
from pyarrow import fs

from trainables.atomic import replacing
from trainables.errors import RunDirectoryError
from trainables.secrets import check_run_directory
from trainables.storage.run_dir import PROBE

CONNECT_SECONDS, ANSWER_SECONDS, ATTEMPTS = 5.0, 20.0, 3
"""How long a store may take to answer; the caller decides whether to try again."""

GCS_SECONDS = 5
"""How long Google's library tries again by itself; its default is 15 minutes."""

CHUNK = 1 << 23
OBJECT_STORES = ("s3", "gs", "gcs", "abfs", "abfss")
S3_OPTIONS = ("endpoint_override", "region", "scheme")
TEMPORARY = re.compile(r"\.[^/]+\.[0-9a-f]{32}\.tmp")

Result = TypeVar("Result")


def is_url(run_dir: object) -> bool:
    """Whether a run directory is given as a URL and not as a path."""
    return isinstance(run_dir, str) and re.match(r"[a-z][a-z0-9+.-]*://", run_dir) is not None


def below(url: str, name: str) -> str:
    """The URL of ``name`` in the folder ``url``."""
    folder, mark, options = url.partition("?")
    return f"{folder.rstrip('/')}/{name}{mark}{options}"


@dataclass(frozen=True)
class ObjectInfo:
    """An object as a listing shows it: bytes, and Unix seconds of its last change."""

    size: int
    seconds: int


class Store:
    """The folder that ``url`` names.

    Attributes:
        url: without a slash at its end.
        scheme: how it begins, before ``://``.
        filesystem: what pyarrow reads and writes with.
        base: the folder's path in ``filesystem``.

    Every method raises ``OSError`` with ``EHOSTDOWN`` and the URL in its text where the store
    cannot be reached or refuses, which may pass, and ``FileNotFoundError`` for a missing object.

    Raises:
        RunDirectoryError: the URL cannot be used.
    """

    def __init__(self, url: str) -> None:
        check_run_directory(url)
        self.url = below(url, "").replace("/?", "?").rstrip("/")
        self.scheme = urlsplit(url).scheme
        self._direct = self.scheme in OBJECT_STORES
        self.filesystem, base = _opened(self.url, self.scheme)
        self.base = base.rstrip("/")

    def files(self, folder: str = "") -> dict[str, ObjectInfo]:
        """All objects below ``folder``, by their names in this store."""
        return {
            name: ObjectInfo(info.size or 0, int((info.mtime_ns or 0) // 10**9))
            for info in self._listed(folder, recursive=True)
            if info.type == fs.FileType.File
            and not TEMPORARY.fullmatch((name := self._name(info)).rpartition("/")[2])
        }

    def folders(self, folder: str) -> set[str]:
        """Names of the files and folders directly in ``folder``."""
        return {info.base_name for info in self._listed(folder, recursive=False)}

    def info(self, name: str) -> ObjectInfo | None:
        """Size and time, in whole seconds, of one object; None if absent or a folder."""
        file_info = self._call(lambda: self.filesystem.get_file_info(self._path(name)))
        if file_info.type != fs.FileType.File:
            return None
        return ObjectInfo(file_info.size or 0, int((file_info.mtime_ns or 0) // 10**9))

    def read(self, name: str) -> bytes:
        """The content of an object."""

        def read() -> bytes:
            with self.filesystem.open_input_stream(self._path(name)) as source:
                return source.read()

        return self._call(read)

    def write(self, name: str, content: bytes) -> None:
        """Create or replace an object."""
        self._put(name, lambda target: target.write(content))

    def upload(self, path: Path, name: str) -> None:
        """Create or replace an object from a local file."""
        with path.open("rb") as source:
            # Read before the object is opened: what fails later replaces the object by a part.
            first = source.read(CHUNK)

            def copy(target: pa.NativeFile) -> None:
                chunk = first
                while chunk:
                    target.write(chunk)
                    chunk = source.read(CHUNK)

            self._put(name, copy)

    def download(self, name: str, path: Path, info: ObjectInfo) -> None:
        """Create or replace a local file from an object, atomically, with the object's time."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:

            def copy() -> None:
                with (
                    self.filesystem.open_input_stream(self._path(name)) as source,
                    temporary.open("wb") as target,
                ):
                    while chunk := source.read(CHUNK):
                        target.write(chunk)

            self._call(copy)
            os.utime(temporary, (info.seconds, info.seconds))

    def remove(self, name: str) -> None:
        """Remove an object if it exists."""
        with suppress(FileNotFoundError):
            self._call(lambda: self.filesystem.delete_file(self._path(name)))

    def remove_folder(self, name: str) -> None:
        """Remove all objects below ``name``, if there are any."""
        with suppress(FileNotFoundError):
            self._call(lambda: self.filesystem.delete_dir(self._path(name)))

    def now(self) -> float:
        """Unix seconds by the store's clock."""
        probe = f"{PROBE}{uuid.uuid4().hex}"
        self.write(probe, b"")
        info = self.info(probe)
        self.remove(probe)
        return info.seconds if info is not None else time.time()

    def _put(self, name: str, write: Callable[[pa.NativeFile], object]) -> None:
        path = self._path(name)
        folder, _, last = path.rpartition("/")
        target_path = path if self._direct else f"{folder}/.{last}.{uuid.uuid4().hex}.tmp"

        def put() -> None:
            if not self._direct:
                self.filesystem.create_dir(folder, recursive=True)
            target = self.filesystem.open_output_stream(target_path)
            try:
                write(target)
                target.close()
            except BaseException:
                # Closing it after an error keeps the part that was written. Where that fails too,
                # an object store still has the object that was there before.
                part_is_there = not self._direct
                with suppress(Exception):
                    target.close()
                    part_is_there = True
                with suppress(Exception):
                    if part_is_there:
                        self.filesystem.delete_file(target_path)
                raise
            if target_path != path:
                self.filesystem.move(target_path, path)

        self._call(put)

    def _listed(self, folder: str, *, recursive: bool) -> list[fs.FileInfo]:
        selector = fs.FileSelector(self._path(folder), allow_not_found=True, recursive=recursive)
        return self._call(lambda: self.filesystem.get_file_info(selector))

    def _path(self, name: str) -> str:
        return f"{self.base}/{name}" if name else self.base

    def _name(self, info: fs.FileInfo) -> str:
        return info.path.strip("/").removeprefix(self.base.strip("/")).strip("/")

    def _call(self, request: Callable[[], Result]) -> Result:
        try:
            return request()
        except FileNotFoundError:
            raise
        # Each library behind fsspec raises errors of its own.
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise OSError(errno.EHOSTDOWN, f"{self.url}: {_reason(error)}") from error


def _opened(url: str, scheme: str) -> tuple[fs.FileSystem, str]:
    try:
        if scheme == "s3":
            return _s3(url)
        if scheme in ("gs", "gcs") and "retry_limit_seconds=" not in url:
            url += f"{'&' if '?' in url else '?'}retry_limit_seconds={GCS_SECONDS}"
        try:
            return fs.FileSystem.from_uri(url)
        except pa.ArrowInvalid as error:
            if "Unrecognized filesystem type" not in str(error):
                raise
        from fsspec.core import url_to_fs

        other, path = url_to_fs(url)
        return fs.PyFileSystem(fs.FSSpecHandler(other)), path
    # fsspec says with an ImportError which package knows the scheme.
    except (pa.ArrowException, ValueError, ImportError, OSError) as error:
        raise RunDirectoryError(
            f"{url}: not to be used as a run directory ({_reason(error)})"
        ) from (error)


def _s3(url: str) -> tuple[fs.FileSystem, str]:
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    for name in options.keys() - set(S3_OPTIONS):
        raise ValueError(f"{name} is no option of it, these are: {', '.join(S3_OPTIONS)}")
    if not parts.netloc:
        raise ValueError("it names no bucket")
    elsewhere = "endpoint_override" in options or any(
        name in os.environ for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
    )
    has_region = "region" in options or any(
        name in os.environ for name in ("AWS_REGION", "AWS_DEFAULT_REGION")
    )
    if not elsewhere and not has_region:
        options["region"] = fs.resolve_s3_region(parts.netloc)
    return fs.S3FileSystem(
        connect_timeout=CONNECT_SECONDS,
        request_timeout=ANSWER_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
        **options,
    ), f"{parts.netloc}{parts.path}"


def _reason(error: Exception) -> str:
    """The part of a library's message that says what is wrong."""
    message = " ".join(str(error).split()) or type(error).__name__
    match = re.search(r"AWS Error (\w+) during \w+ operation: ?(.*)", message)
    if match:
        reason = re.split(r" \(Request ID|; Details| with address", match[2])[0]
        message = f"{match[1]} {reason}".strip().rstrip(".")
    return message[:300]
