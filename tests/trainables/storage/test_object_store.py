"""A folder of an object store: whole objects, plain errors, and every scheme alike."""

import errno
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit
from urllib.request import Request, urlopen

import pytest

from tests.helpers.object_store import NewBucket
from trainables.errors import RunDirectoryError
from trainables.storage.object_store import Store, is_url

AWAY = "s3://bucket/x?endpoint_override=127.0.0.1:9&scheme=http"


@pytest.fixture(params=["s3", "file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty folder: by pyarrow on a server, by pyarrow on the disk, by fsspec."""
    places: dict[str, Callable[[], str]] = {
        "s3": lambda: request.getfixturevalue("s3")(),
        "file": lambda: f"{tmp_path.as_uri()}/there",
        "memory": lambda: f"memory://{tmp_path.name}/there",
    }
    return Store(places[request.param]())


def test_objects_come_back_as_they_were_written(store: Store, tmp_path: Path) -> None:
    assert store.files() == {}
    assert store.info("a/b.txt") is None
    store.write("a/b.txt", b"one")
    large = bytes(range(256)) * (40 << 10)
    (tmp_path / "large").write_bytes(large)
    store.upload(tmp_path / "large", "a/c/large")
    store.write("a/b.txt", b"two!")
    listed = store.files()
    assert {name: seen.size for name, seen in listed.items()} == {
        "a/b.txt": 4,
        "a/c/large": len(large),
    }
    assert store.files("a/c").keys() == {"a/c/large"}
    assert store.folders("a") == {"b.txt", "c"}
    assert store.read("a/b.txt") == b"two!"
    assert store.info("a/c/large") == listed["a/c/large"]
    target = tmp_path / "new" / "folder" / "copy"
    store.download("a/c/large", target, listed["a/c/large"])
    assert target.read_bytes() == large
    assert target.stat().st_mtime == listed["a/c/large"].seconds
    store.remove("a/b.txt")
    store.remove("a/b.txt")
    store.remove_folder("a/c")
    store.remove_folder("a/c")
    assert store.files() == {}
    with pytest.raises(FileNotFoundError):
        store.read("a/b.txt")


def test_an_upload_that_breaks_off_leaves_nothing_that_looks_whole(
    store: Store, tmp_path: Path
) -> None:
    store.write("kept", b"before")

    def half(target) -> None:
        target.write(b"half")
        raise OSError(errno.EIO, "the disk")

    with pytest.raises(OSError, match="the disk"):
        store._put("new", half)
    assert store.files().keys() == {"kept"}


def test_a_file_that_cannot_be_read_leaves_the_object_that_was_there(
    store: Store, tmp_path: Path
) -> None:
    store.write("kept", b"before")
    for unreadable in (tmp_path / "missing", tmp_path):
        with pytest.raises(OSError, match=unreadable.name):
            store.upload(unreadable, "kept")
    assert store.read("kept") == b"before"


def test_a_download_that_breaks_off_leaves_what_was_there(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "copy"
    path.write_bytes(b"before")
    store.write("x", b"new")
    seen = store.files()["x"]
    store.remove("x")
    with pytest.raises(FileNotFoundError):
        store.download("x", path, seen)
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["copy"]


def test_a_store_that_is_away_is_said_within_seconds(s3: NewBucket, tmp_path: Path) -> None:
    away = Store(AWAY)
    began = time.monotonic()
    with pytest.raises(OSError, match="NETWORK_CONNECTION") as refused:
        away.write("x", b"1")
    assert time.monotonic() - began < 10
    assert refused.value.errno == errno.EHOSTDOWN
    assert str(refused.value.strerror).startswith(AWAY)


def test_a_missing_bucket_is_said(s3: NewBucket) -> None:
    missing = Store(s3().replace("s3://bucket", "s3://missing"))
    with pytest.raises(OSError, match="NO_SUCH_BUCKET The specified bucket does not exist"):
        missing.write("x", b"1")


def test_keys_that_are_refused_are_said(s3: NewBucket) -> None:
    url = s3()
    server = dict(parse_qsl(urlsplit(url).query))["endpoint_override"]

    def allow(actions: bytes) -> None:
        """Let the server answer so many questions of whoever asks; then keys count."""
        asked = Request(f"http://{server}/moto-api/reset-auth", data=actions)
        asked.add_header("Content-Type", "application/octet-stream")
        urlopen(asked).close()

    allow(b"0")
    try:
        with pytest.raises(OSError, match=r"ACCESS_KEY|ACCESS_DENIED") as refused:
            Store(url).write("x", b"1")
    finally:
        allow(b"1e12")
    assert refused.value.errno == errno.EHOSTDOWN


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nosuch://host/x", "nosuch"),
        ("s3://KEY:SECRET@bucket/x", "s3://...: keys do not belong into a run directory's URL"),
        ("abfs://box@a.dfs.core.windows.net/x?client_secret=SECRET", r"abfs://\.\.\.: keys do"),
        ("sftp://me:SECRET@host/x", r"sftp://\.\.\.: keys do not belong"),
        ("s3://bucket/x?endpont=1", "endpont is no option of it, these are: endpoint_override"),
        ("s3:///x", "it names no bucket"),
    ],
)
def test_urls_that_cannot_be_used(url: str, told: str) -> None:
    with pytest.raises(RunDirectoryError, match=told) as refused:
        Store(url)
    assert "SECRET" not in str(refused.value)


def test_what_is_a_url() -> None:
    assert is_url("s3://bucket/x")
    assert is_url("file:///tmp/x")
    assert not is_url("runs/x")
    assert not is_url("/tmp/x")
    assert not is_url(Path("s3://bucket/x"))
    assert not is_url(None)
