"""One command at a time in an object store: by conditional writes, and where there are none."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from obstore.store import AzureStore, GCSStore, S3Store

from orchestrator.run_dir import lock, store_lock
from orchestrator.run_dir.lock import LOCK, FolderLock, holding
from orchestrator.run_dir.lock_owner import this_process
from orchestrator.run_dir.store_lock import StoreLock, lock_object, lock_of
from tests.helpers.object_store import FakeBucket, NewBucket
from trainables.errors import LockLostError, RunDirectoryError
from trainables.storage import conditional_writes, versioned_object
from trainables.storage.conditional_writes import Bucket, ConditionalObject
from trainables.storage.object_store import Store
from trainables.storage.versioned_object import SettledObject

ELSEWHERE = {"host": "elsewhere", "computer": "1" * 16, "boot": "another"}


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versioned_object, "SETTLE_SECONDS", 0.3)
    monkeypatch.setattr(store_lock, "PAUSE_SECONDS", 0.01)


@pytest.fixture(params=["s3", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty folder of a store with conditional writes, and of one without."""
    if request.param == "s3":
        return Store(request.getfixturevalue("s3")())
    return Store(f"memory://{tmp_path.name}/there")


@pytest.fixture
def bucket() -> Iterator[FakeBucket]:
    fake = FakeBucket()
    yield fake
    fake.close()


def s3_at(url: str) -> Bucket:
    config = {"endpoint": url, "region": "us-east-1", "skip_signature": True}
    return S3Store("bucket", config=cast(Any, config), **SETTINGS)


SETTINGS: dict[str, Any] = {
    "client_options": {"allow_http": True},
    "retry_config": {"max_retries": 0},
}
PROTOCOLS: dict[str, Callable[[str], Bucket]] = {
    "S3": s3_at,
    "Google": lambda url: GCSStore(
        "bucket", config={"base_url": url, "bearer_token": "x"}, **SETTINGS
    ),
    "Azure": lambda url: AzureStore(
        "bucket",
        config=cast(Any, {"account_name": "a", "endpoint": url, "skip_signature": True}),
        **SETTINGS,
    ),
}


class Folder:
    """The folder of a ``FakeBucket``, in place of a ``Store``."""

    def __init__(self, bucket: FakeBucket) -> None:
        self.url, self._bucket = "s3://bucket", bucket

    def remove(self, name: str) -> None:
        self._bucket.objects.pop(name, None)

    def now(self) -> float:
        return time.time()


def lock_in(bucket: FakeBucket, protocol: str = "S3") -> StoreLock:
    """A new command's lock."""
    folder = cast(Store, Folder(bucket))
    return StoreLock(folder, ConditionalObject(PROTOCOLS[protocol](bucket.url), folder, LOCK))


def content_of(**changes: Any) -> bytes:
    """A lock of another command."""
    return json.dumps(this_process().model_dump() | {"token": "another"} | changes).encode()


def until(happens: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_is_held_once_and_given_back(store: Store) -> None:
    with (
        holding(lock_of(store)),
        pytest.raises(RunDirectoryError, match="in use by process") as refused,
        holding(lock_of(Store(store.url))),
    ):
        pass
    assert f"process {os.getpid()} on " in str(refused.value)
    assert str(refused.value).startswith(store.url)
    assert store.files() == {}
    with holding(lock_of(store)):
        assert json.loads(store.read(LOCK))["pid"] == os.getpid()


def test_a_store_is_asked_whether_it_heeds_conditions(
    s3: NewBucket, tmp_path: Path, bucket: FakeBucket
) -> None:
    kinds = {
        s3(): ConditionalObject,
        f"memory://{tmp_path.name}": SettledObject,
        # Not there, as for somebody whose keys only pyarrow finds.
        "gs://bucket/x?endpoint_override=127.0.0.1:9&scheme=http": SettledObject,
    }
    for url, kind in kinds.items():
        assert type(lock_object(Store(url))) is kind, url
    assert type(lock_of(Store(tmp_path.as_uri()))) is FolderLock
    folder = cast(Store, Folder(bucket))
    assert conditional_writes.heeds_conditions(s3_at(bucket.url), folder)
    bucket.heeds_conditions = False
    assert not conditional_writes.heeds_conditions(s3_at(bucket.url), folder)
    assert bucket.objects == {}


@pytest.mark.parametrize(
    ("url", "name", "settings"),
    [
        (
            "abfs://box@account.dfs.core.windows.net/a/b",
            "box",
            {"account_name": "account", "container_name": "box"},
        ),
        ("gs://box/a/b?retry_limit_seconds=1", "box", {"bucket": "box"}),
        (
            "s3://box/a/b?region=eu-west-1&endpoint_override=host:9000&scheme=http",
            "box",
            {"bucket": "box", "region": "eu-west-1", "endpoint": "http://host:9000"},
        ),
        (
            "s3://box/a/b?region=eu-west-1",
            "box",
            {"bucket": "box", "region": "eu-west-1", "endpoint": "http://from-environment"},
        ),
    ],
)
def test_obstore_opens_what_the_url_names(
    url: str, name: str, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://from-environment")
    opened = conditional_writes.open_bucket(Store(url))
    assert opened.prefix == "a/b"
    assert settings.items() <= cast(dict, opened.config).items()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_write_whose_condition_does_not_hold_is_refused(
    protocol: str, bucket: FakeBucket
) -> None:
    stored = ConditionalObject(
        PROTOCOLS[protocol](bucket.url), cast(Store, Folder(bucket)), "object"
    )
    assert stored.read() is None
    first = stored.write(b"1", None)
    with pytest.raises(versioned_object.ObjectChangedError):
        stored.write(b"2", None)
    second = stored.write(b"2", first)
    with pytest.raises(versioned_object.ObjectChangedError):
        stored.write(b"3", first)
    current = stored.read()
    assert current is not None
    assert (current.content, current.version) == (b"2", second)
    assert abs(current.modified - time.time()) < 2
    stored.remove(current)
    with pytest.raises(versioned_object.ObjectChangedError):
        stored.write(b"4", second)
    with pytest.raises(versioned_object.ObjectChangedError):
        stored.remove(current)
    assert stored.read() is None


@pytest.mark.parametrize(
    ("age", "changes"), [(0, {"pid": 2**22 + 1}), (0, {"started": 1}), (70, ELSEWHERE)]
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_dead_owners_lock_is_taken_over(
    protocol: str, age: float, changes: dict[str, Any], bucket: FakeBucket
) -> None:
    bucket.put(LOCK, content_of(**changes), age)
    with holding(lock_in(bucket, protocol)):
        assert json.loads(bucket.objects[LOCK].content)["pid"] == os.getpid()
    assert bucket.objects == {}


def test_a_lock_that_is_renewed_elsewhere_is_not_taken(bucket: FakeBucket) -> None:
    content = content_of(**ELSEWHERE)
    bucket.put(LOCK, content, 40)
    with pytest.raises(RunDirectoryError, match=r"on elsewhere .*try again in 60 s"):
        lock_in(bucket).acquire()
    assert bucket.objects[LOCK].content == content


@pytest.mark.parametrize("shift", [-3600, 3600])
def test_the_stores_clock_counts_and_not_this_computers(
    shift: float, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(LOCK, content_of(**ELSEWHERE))
    kept = store.info(LOCK)
    assert kept is not None
    assert abs(store.now() - kept.seconds) < 5
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + shift)
    with pytest.raises(RunDirectoryError, match=r"on elsewhere .*try again in 60 s"):
        StoreLock(store, SettledObject(store, LOCK)).acquire()


def test_of_many_that_take_it_at_once_at_most_one_has_it(store: Store) -> None:
    start = threading.Barrier(6)
    ends: list[str] = []
    has_it = threading.Event()

    def take() -> None:
        contender = lock_of(store)
        start.wait()
        try:
            contender.acquire()
        except RunDirectoryError as error:
            ends.append(str(error).partition(": ")[2].partition(";")[0])
            return
        ends.append("mine")
        has_it.wait(20)
        contender.release()

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    until(lambda: len(ends) == 6)
    has_it.set()
    for thread in threads:
        thread.join()
    assert ends.count("mine") == 1
    assert all(end == "mine" or "took it" in end or "in use by" in end for end in ends)


def test_of_two_that_take_over_a_dead_owners_lock_one_has_it(bucket: FakeBucket) -> None:
    """The second has looked at the lock before the first took it, and writes after that."""
    bucket.put(LOCK, content_of(pid=2**22 + 1))
    first, second = lock_in(bucket), lock_in(bucket)
    stale, look = [second._object.read()], second._object.read
    second._object.read = lambda: stale.pop() if stale else look()
    with holding(first):
        with pytest.raises(RunDirectoryError, match="another command took it at this moment"):
            second.acquire()
        assert json.loads(bucket.objects[LOCK].content)["token"] == first.owner.token


def test_it_is_renewed_and_written_again_where_it_was_deleted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(versioned_object, "SETTLE_SECONDS", 0.02)
    with holding(lock_of(store)):
        first = store.read(LOCK)
        until(lambda: store.read(LOCK) != first)
        store.remove(LOCK)
        until(lambda: store.info(LOCK))
    assert store.info(LOCK) is None


def test_a_command_that_slept_while_another_took_it_over_ends(
    s3: NewBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.01)
    store = Store(s3())
    others = content_of(**ELSEWHERE)

    def sleep() -> None:
        with holding(lock_of(store)):
            store.write(LOCK, others)
            time.sleep(20)

    with pytest.raises(LockLostError, match=r"taken over by process .* on elsewhere"):
        sleep()
    assert store.read(LOCK) == others, "the other's lock stays"


def test_a_renewal_that_has_looked_before_another_took_it_over_writes_nothing(
    bucket: FakeBucket,
) -> None:
    owned = lock_in(bucket)
    owned._interrupts = False
    with holding(owned):
        looked_up = owned._version
        others = content_of(**ELSEWHERE)
        bucket.put(LOCK, others)
        owned._version = looked_up
        owned._renew_once()
        assert bucket.objects[LOCK].content == others
        assert owned.lost is not None
    assert bucket.objects[LOCK].content == others


@pytest.mark.parametrize("fault", ["conflict", "lost", "broken"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_renewal_that_fails_does_not_end_the_command(
    protocol: str, fault: str, bucket: FakeBucket
) -> None:
    """Another write under way, an answer that was lost, a connection that broke."""
    owned = lock_in(bucket, protocol)
    owned._interrupts = False
    with holding(owned):
        for _ in range(3):
            bucket.faults = [fault]
            try:
                owned._renew_once()
            except OSError:
                assert fault == "broken"
            assert owned.lost is None
            owned._renew_once()
        assert owned.lost is None
        assert json.loads(bucket.objects[LOCK].content)["renewals"] == owned.owner.renewals
    assert bucket.objects == {}


@pytest.mark.parametrize("fault", ["conflict", "lost"])
@pytest.mark.parametrize("held_before", [False, True])
def test_taking_it_survives_a_conflict_and_a_lost_answer(
    held_before: bool, fault: str, bucket: FakeBucket
) -> None:
    if held_before:
        bucket.put(LOCK, content_of(pid=2**22 + 1))
    bucket.faults = [fault]
    with holding(lock_in(bucket)):
        assert json.loads(bucket.objects[LOCK].content)["pid"] == os.getpid()
    assert bucket.objects == {}


def test_a_store_that_never_takes_it_is_said(
    bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_lock, "CONFLICT_SECONDS", 0.1)
    bucket.faults = ["conflict"] * 100
    with pytest.raises(OSError, match="written by others all the time"):
        lock_in(bucket).acquire()


def test_a_store_that_is_away_while_it_is_held_does_not_end_the_command(
    bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.02)
    with holding(lock_in(bucket)):
        bucket.faults = ["broken"] * 10
        until(lambda: not bucket.faults)
        until(lambda: json.loads(bucket.objects[LOCK].content)["renewals"] > 3)
    assert bucket.objects == {}
