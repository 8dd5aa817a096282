"""One command at a time in an object store: as in a directory, told by the store's clock."""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.run_dir import lock, store_lock
from orchestrator.run_dir.lock import LOCK, holding
from orchestrator.run_dir.lock_owner import this_process
from orchestrator.run_dir.store_lock import StoreLock
from tests.helpers.object_store import NewBucket
from trainables.errors import LockLostError, RunDirectoryError
from trainables.storage.object_store import Store

AFAR = {"host": "elsewhere", "computer": "1" * 16, "boot": "another"}


@pytest.fixture(autouse=True)
def settle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_lock, "SETTLE_SECONDS", 0.3)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"{tmp_path.as_uri()}/there")


def leave(store: Store, folder: Path, seconds_ago: float, **changes: Any) -> None:
    """A lock of another holder."""
    content = this_process().model_dump() | {"token": "another"} | changes
    store.write(LOCK, json.dumps(content).encode())
    then = time.time() - seconds_ago
    os.utime(folder / "there" / LOCK, (then, then))


@pytest.mark.parametrize("kind", ["file", "s3"])
def test_it_is_held_once_and_given_back(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"{tmp_path.as_uri()}/there" if kind == "file" else request.getfixturevalue("s3")()
    store = Store(url)
    with (
        holding(StoreLock(store)),
        pytest.raises(RunDirectoryError, match="in use by process") as refused,
        holding(StoreLock(Store(url))),
    ):
        pass
    assert f"process {os.getpid()} on " in str(refused.value)
    assert str(refused.value).startswith(store.url)
    assert store.seen(LOCK) is None
    with holding(StoreLock(store)):
        assert json.loads(store.read(LOCK))["pid"] == os.getpid()


@pytest.mark.parametrize(
    ("age", "changes"), [(0, {"pid": 2**22 + 1}), (0, {"started": 1}), (70, AFAR)]
)
def test_a_dead_holders_lock_is_taken_over(
    age: float, changes: dict[str, Any], store: Store, tmp_path: Path
) -> None:
    leave(store, tmp_path, age, **changes)
    with holding(StoreLock(store)):
        assert json.loads(store.read(LOCK))["pid"] == os.getpid()
    assert store.files() == {}


def test_a_holder_elsewhere_that_renews_it_is_not_robbed(store: Store, tmp_path: Path) -> None:
    leave(store, tmp_path, 40, **AFAR)
    with pytest.raises(RunDirectoryError, match=r"on elsewhere .*try again in 60 s"):
        StoreLock(store).acquire()
    assert store.files().keys() == {LOCK}


def test_of_many_that_take_it_at_once_at_most_one_has_it(store: Store) -> None:
    start = threading.Barrier(6)
    ends: list[str] = []
    has_it = threading.Event()

    def take() -> None:
        one = StoreLock(store)
        start.wait()
        try:
            one.acquire()
        except RunDirectoryError as error:
            ends.append(str(error).partition(": ")[2].partition(";")[0])
            return
        ends.append("mine")
        has_it.wait(20)
        one.release()

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 20
    while len(ends) < 6 and time.monotonic() < deadline:
        time.sleep(0.02)
    has_it.set()
    for thread in threads:
        thread.join()
    assert ends.count("mine") == 1
    assert all(end == "mine" or "took it" in end or "in use by" in end for end in ends)


def test_it_is_renewed_and_written_again_where_it_was_deleted(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.02)
    path = tmp_path / "there" / LOCK
    with holding(StoreLock(store)):
        os.utime(path, (0, 0))
        until(lambda: path.exists() and path.stat().st_mtime > 1)
        store.remove(LOCK)
        until(path.exists)
    assert not path.exists()


def test_a_command_that_slept_while_another_took_it_over_ends(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.05)

    def sleep() -> None:
        with holding(StoreLock(store)):
            leave(store, tmp_path, 0, **AFAR)
            time.sleep(20)

    with pytest.raises(LockLostError, match=r"taken over by process .* on elsewhere"):
        sleep()
    assert json.loads(store.read(LOCK))["host"] == "elsewhere", "the other's lock stays"


def test_a_store_that_is_away_while_it_is_held_does_not_end_the_command(
    s3: NewBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.02)
    store = Store(s3())
    asked = threading.Event()
    with holding(StoreLock(store)):

        def away(name: str) -> bytes:
            asked.set()
            raise OSError("away")

        with monkeypatch.context() as patch:
            patch.setattr(store, "read", away)
            assert asked.wait(10)
    assert store.seen(LOCK) is None


def until(happens: Any) -> None:
    deadline = time.monotonic() + 20
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.01)
