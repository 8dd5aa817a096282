"""One holder at a time, whoever is killed; the dead block nobody, the living are not robbed."""

import fcntl
import json
import os
import random
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from orchestrator.run_dir import lock
from orchestrator.run_dir.lock import LOCK, LockOwner, hold_lock
from orchestrator.run_dir.lock_owner import process
from tests.helpers.forks import SERVER
from trainables.errors import LockLostError, RunDirectoryError

pytestmark = pytest.mark.serial


def contend(root: Path, pipe: Connection) -> None:
    """At every word try once; whoever gets it keeps it until the next word."""
    witness = os.open(root / "witness", os.O_RDWR | os.O_CREAT)
    while pipe.recv():
        try:
            with hold_lock(root):
                # The kernel lets go of this one when a process dies, so it can tell.
                fcntl.flock(witness, fcntl.LOCK_EX | fcntl.LOCK_NB)
                pipe.send("got")
                pipe.recv()
                fcntl.flock(witness, fcntl.LOCK_UN)
            pipe.send("released")
        except RunDirectoryError:
            pipe.send("refused")
        except BlockingIOError:
            pipe.send("two holders")


class Contender:
    """A process that tries when told."""

    def __init__(self, root: Path) -> None:
        self.pipe, other = SERVER.Pipe()
        self.process = SERVER.Process(target=contend, args=(root, other))
        self.process.start()
        other.close()

    def ask(self) -> str:
        assert self.pipe.poll(60), "no answer"
        return self.pipe.recv()

    def kill(self) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()


def test_of_eight_processes_one_gets_it_in_every_round_whoever_was_killed(tmp_path: Path) -> None:
    chance = random.Random(0)
    contenders = [Contender(tmp_path) for _ in range(8)]
    killed = 0
    for _ in range(40):
        for contender in contenders:
            contender.pipe.send(True)
        said = [contender.ask() for contender in contenders]
        assert sorted(said) == ["got", *["refused"] * 7]
        holder = said.index("got")
        if chance.random() < 0.5:
            contenders[holder].kill()
            contenders[holder] = Contender(tmp_path)
            killed += 1
        else:
            contenders[holder].pipe.send(True)
            assert contenders[holder].ask() == "released"
            assert not (tmp_path / LOCK).exists()
    assert killed > 10
    for contender in contenders:
        contender.kill()


def test_processes_killed_while_they_take_it_or_release_it_leave_it_takeable(
    tmp_path: Path,
) -> None:
    chance = random.Random(1)
    for _ in range(12):
        contenders = [Contender(tmp_path) for _ in range(3)]
        for contender in contenders:
            contender.pipe.send(True)
            contender.pipe.send(True)
        time.sleep(chance.random() * 0.02)
        for contender in contenders:
            contender.kill()
        if (tmp_path / LOCK).exists() and not (tmp_path / LOCK).read_bytes():
            past = time.time() - 2 * lock.STALE_SECONDS  # Killed between its name and its content.
            os.utime(tmp_path / LOCK, (past, past))
        with hold_lock(tmp_path):
            pass


def test_the_second_is_told_who_holds_it_since_when_and_what_to_do(tmp_path: Path) -> None:
    with hold_lock(tmp_path):
        content = json.loads((tmp_path / LOCK).read_text())
        with pytest.raises(RunDirectoryError) as caught, hold_lock(tmp_path):
            pytest.fail("held twice")
        assert (tmp_path / LOCK).exists()
    assert str(caught.value) == (
        f"{tmp_path}: in use by process {os.getpid()} on {os.uname().nodename} since "
        f"{content['since']} ({content['command']}); wait for it, end it or choose another "
        "directory with --run-dir"
    )
    assert content["command"] == shlex.join(sys.orig_argv)[:300]


def test_another_thread_of_the_same_process_is_refused_too(tmp_path: Path) -> None:
    refused = []

    def second() -> None:
        try:
            with hold_lock(tmp_path):
                pass
        except RunDirectoryError as error:
            refused.append(error)

    with hold_lock(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(refused) == 1
    second()
    assert len(refused) == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_released_however_the_block_ends(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), hold_lock(tmp_path):
        raise error
    with hold_lock(tmp_path):
        pass


def leave(root: Path, age: float, **changes: Any) -> None:
    """The lock of a process like this one but for ``changes``, renewed ``age`` seconds ago."""
    with hold_lock(root):
        content = json.loads((root / LOCK).read_text())
    (root / LOCK).write_text(json.dumps(content | changes))
    past = time.time() - age
    os.utime(root / LOCK, (past, past))


def ended_process() -> int:
    process = SERVER.Process(target=int)
    process.start()
    process.join()
    assert process.pid is not None
    return process.pid


AFAR = {"host": "afar", "computer": "other", "boot": "other"}
STALE: dict[str, tuple[float, Callable[[], dict[str, Any]]]] = {
    "its process has ended": (0, lambda: {"pid": ended_process()}),
    "its number is another's now": (0, lambda: {"started": 1}),
    "this computer has started anew": (0, lambda: {"boot": "before"}),
    "another computer says nothing more": (70, lambda: AFAR),
    "another container says nothing more": (70, lambda: {"namespace": "pid:[1]"}),
}
HELD: dict[str, tuple[float, Callable[[], dict[str, Any]]]] = {
    "its process is suspended": (7000, dict),
    "its process is another user's": (7000, lambda: {"pid": 1, "started": process(1)[1]}),
    "another computer renewed it": (50, lambda: AFAR),
    "another container renewed it": (50, lambda: {"namespace": "pid:[1]"}),
    "a computer that tells nothing of itself renewed it": (50, lambda: {"boot": "", "pid": 2**22}),
}


@pytest.mark.parametrize("why", STALE)
def test_a_dead_holders_lock_is_taken_over_in_silence(
    tmp_path: Path, why: str, capfd: pytest.CaptureFixture
) -> None:
    age, changes = STALE[why]
    leave(tmp_path, age, **changes())
    with hold_lock(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("why", HELD)
def test_a_living_holders_lock_is_not(tmp_path: Path, why: str) -> None:
    age, changes = HELD[why]
    leave(tmp_path, age, **changes())
    before = (tmp_path / LOCK).read_bytes()
    with pytest.raises(RunDirectoryError, match="in use by process"), hold_lock(tmp_path):
        pytest.fail("taken")
    assert (tmp_path / LOCK).read_bytes() == before


@pytest.mark.parametrize("shift", [-3600, 3600])
def test_the_file_servers_clock_counts_and_not_this_computers(
    tmp_path: Path, shift: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(tmp_path, 10, **AFAR)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + shift)
    with pytest.raises(RunDirectoryError, match="if that computer is gone"), hold_lock(tmp_path):
        pytest.fail("taken")


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"pid": 1'])
def test_a_lock_that_cannot_be_read_holds_only_while_it_is_new(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / LOCK).write_bytes(content)
    with pytest.raises(RunDirectoryError, match="in use by somebody"), hold_lock(tmp_path):
        pytest.fail("taken")
    os.utime(tmp_path / LOCK, (1, 1))
    with hold_lock(tmp_path):
        assert LockOwner.model_validate_json((tmp_path / LOCK).read_bytes()).pid == os.getpid()


def until(happens: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not happens():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)


def test_the_holder_renews_its_lock_through_storage_that_vanishes_and_a_deletion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.02)
    root, away = tmp_path / "run", tmp_path / "away"
    root.mkdir()
    with hold_lock(root):
        os.utime(root / LOCK, (1, 1))
        until(lambda: (root / LOCK).stat().st_mtime > 1)
        root.rename(away)
        time.sleep(0.1)
        assert not root.exists()
        away.rename(root)
        (root / LOCK).unlink()
        until((root / LOCK).exists)
        until(lambda: (root / LOCK).read_bytes())
        with pytest.raises(RunDirectoryError), hold_lock(root):
            pytest.fail("taken")
    assert not (root / LOCK).exists()


def test_a_run_that_ends_while_the_storage_is_away_makes_nothing_in_its_place(
    tmp_path: Path,
) -> None:
    root = tmp_path / "run"
    root.mkdir()
    with hold_lock(root):
        root.rename(tmp_path / "away")
    assert not root.exists()


def rob_and_wait(lock: Path, place: Path) -> None:
    lock.rename(place)
    time.sleep(20)


def test_a_holder_that_was_robbed_while_it_slept_ends_and_leaves_the_others_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.02)
    other = tmp_path / "other.json"
    leave(tmp_path, 0, token="other", pid=5, **AFAR)
    (tmp_path / LOCK).rename(other)
    content = other.read_bytes()
    with pytest.raises(LockLostError, match="taken over by process 5 on afar"), hold_lock(tmp_path):
        rob_and_wait(other, tmp_path / LOCK)
    assert (tmp_path / LOCK).read_bytes() == content
