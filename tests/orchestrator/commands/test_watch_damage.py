"""Watching a run directory that is damaged, or that must not be written to."""

import errno
import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.commands import watch
from orchestrator.commands.watch import follow
from orchestrator.monitor import run_reader
from orchestrator.run_dir.lock import GUARD, LOCK
from tests.helpers.run_folders import RunFolder
from trainables.atomic import read_whole
from trainables.results import record
from trainables.results.status import TrialStatus

DAMAGES = {
    "empty": b"",
    "half": b'{"key": "abc", "sta',
    "foreign": b'{"trials": [{"key": 1}], "status": "finished"}',
    "no text": b"\x00\xff" * 50,
    "deep": b"[" * 100_000,
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(watch, "RENEWED_WITHIN", 0.1)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.held_elsewhere()
    folder.ends(0)
    folder.ends(1, "failed")
    folder.says(2)
    return folder


def snapshot(folder: RunFolder) -> str:
    file = io.StringIO()
    follow(folder.run_dir.root, Console(file=file, width=300), once=True)
    return file.getvalue()


@pytest.mark.parametrize("content", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("which", ["plan", "record", "progress"])
def test_damage_is_named_in_one_line_and_the_rest_is_shown(
    folder: RunFolder, which: str, content: bytes
) -> None:
    path = {
        "plan": folder.run_dir.plan,
        "record": folder.run_dir.record(folder.trials[0].key),
        "progress": folder.run_dir.progress(folder.trials[2].key),
    }[which]
    path.write_bytes(content)
    text = snapshot(folder)
    [line] = [line for line in text.splitlines() if line.startswith("damaged: ")]
    assert line.startswith(f"damaged: {path}: no {which} can be read from it")
    left = {"plan": "0 of 0 done", "record": "1 of 4 done", "progress": "2 of 4 done"}[which]
    assert left in text


@pytest.mark.parametrize("which", ["plan", "record"])
def test_what_the_storage_does_not_give_once_is_read_again(
    folder: RunFolder, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder.run_dir.plan if which == "plan" else folder.run_dir.record(folder.trials[0].key)
    reads: list[Path] = []

    def stale(asked: Path) -> bytes:
        reads.append(asked)
        if asked == path and reads.count(path) == 1:
            raise OSError(errno.ESTALE, "Stale file handle")
        return read_whole(asked)

    for module in (run_reader, record):
        monkeypatch.setattr(module, "read_whole", stale)
    following = watch.Watch(folder.run_dir.root, Console(file=io.StringIO()))
    following.poll()
    assert following.status_line(is_running=True) == f"damaged: {path}: Stale file handle"
    following.poll()
    assert following.status_line(is_running=True) == ""
    counts = following.view.progress.counts()
    assert [counts[state] for state in (TrialStatus.FINISHED, TrialStatus.FAILED)] == [1, 1]
    following.poll()
    assert reads.count(path) == 2


def test_damage_that_is_mended_is_forgotten(folder: RunFolder) -> None:
    seen: list[str] = []
    path = folder.run_dir.record(folder.trials[0].key)
    whole = path.read_bytes()
    path.write_bytes(whole[:100])

    def fetch() -> None:
        seen.append(file.getvalue())
        if len(seen) == 4:
            path.write_bytes(whole)
        if len(seen) == 8:
            for index in range(4):
                folder.ends(index)
            folder.let_go()

    file = io.StringIO()
    assert follow(folder.run_dir.root, Console(file=file, width=300), fetch=fetch) == 0
    assert file.getvalue().count("damaged: ") == 1
    assert "damaged: " in seen[3]


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe"])
def test_a_lock_that_cannot_be_read_is_judged_by_its_age(folder: RunFolder, content: bytes) -> None:
    lock = folder.run_dir.root / LOCK
    lock.write_bytes(content)
    assert "nobody" not in snapshot(folder)
    os.utime(lock, (1, 1))
    assert "nobody runs this experiment" in snapshot(folder)


def test_storage_that_is_away_for_a_while_is_waited_for(folder: RunFolder) -> None:
    root, aside = folder.run_dir.root, folder.run_dir.root.with_name("aside")
    looks = iter(range(100))

    def fetch() -> None:
        look = next(looks)
        if look == 2:
            root.rename(aside)
        if look == 6:
            aside.rename(root)
            for index in range(4):
                folder.ends(index)
            folder.let_go()

    file = io.StringIO()
    assert follow(root, Console(file=file, width=300), fetch=fetch) == 0
    assert f"{root}: cannot be read (No such file or directory); waiting for it" in file.getvalue()
    assert file.getvalue().count("waiting for it") == 1


def test_nothing_is_written(folder: RunFolder, tmp_path: Path) -> None:
    """The time of a folder shows also a file that was made and removed again."""

    def state() -> dict[Path, tuple[int, int]]:
        stats = {path: path.stat() for path in (tmp_path, *tmp_path.rglob("*"))}
        return {path: (stat.st_mtime_ns, stat.st_size) for path, stat in stats.items()}

    looks = iter(range(100))

    def fetch() -> None:
        if next(looks) == 5:
            assert state() == before
            folder.let_go()

    before = state()
    snapshot(folder)
    assert follow(folder.run_dir.root, Console(file=io.StringIO()), fetch=fetch) == 1
    assert not (folder.run_dir.root / GUARD).exists()


def test_what_has_not_changed_is_not_read_again(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    whole = Path.read_bytes

    def counted(path: Path) -> bytes:
        read.append(path)
        return whole(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    looks = iter(range(100))

    def fetch() -> None:
        look = next(looks)
        if look == 10:
            folder.says(2, examples=500)
        if look == 20:
            folder.let_go()

    follow(folder.run_dir.root, Console(file=io.StringIO()), fetch=fetch)
    said = folder.run_dir.progress(folder.trials[2].key)
    assert read.count(said) == 2
    others = [folder.run_dir.plan, *folder.run_dir.records.iterdir()]
    assert all(read.count(path) == 1 for path in others)
