"""The ledger: whole lines or none, whatever happens while they are written or lie still."""

import errno
import os
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest

from orchestrator.search.ledger import Ledger, ScoreReported, TrialEnded
from orchestrator.search.study import Study
from tests.faults.test_storage import fill
from tests.helpers.damage import flip
from tests.helpers.fake_search import MadeUp, group, suggested
from trainables.errors import RunDirectoryError
from trainables.results.status import TrialStatus
from trainables.storage.retry import retry

EVENTS = [
    suggested("a", 0),
    ScoreReported(key="a0", examples=104, score=0.5, loss=0.7, seconds=1.5, decision="continue"),
    suggested("a", 1),
]
ENDED = TrialEnded(key="a0", status=TrialStatus.FINISHED, score=0.6, loss=0.5)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    append(ledger, EVENTS)
    return ledger


def append(ledger: Ledger, events: list) -> None:
    for event in events:
        ledger.append(event)


def test_events_are_read_as_they_were_written(ledger: Ledger) -> None:
    ledger.append(ENDED)
    assert Ledger(ledger.path).read() == [*EVENTS, ENDED]
    assert Ledger(ledger.path.with_name("missing")).read() == []


@pytest.mark.parametrize("kept", [0, 1, 40, -1])
def test_a_torn_last_line_is_left_out_and_mended(kept: int, ledger: Ledger) -> None:
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    ledger.path.write_bytes(b"".join(lines[:2]) + lines[2][:kept])
    ledger = Ledger(ledger.path)
    assert ledger.read() == EVENTS[:2]
    ledger.mend()
    assert ledger.path.read_bytes() == b"".join(lines[:2])
    ledger.append(EVENTS[2])
    assert ledger.read() == EVENTS


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"[]", b"\xff", b"[" * 5000, b'{"event": "proposed"}', b"null", b"9" * 5000],
)
def test_a_damaged_line_in_the_middle_is_one_clear_error(line: bytes, ledger: Ledger) -> None:
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    ledger.path.write_bytes(lines[0] + line + b"\n" + lines[2])
    with pytest.raises(RunDirectoryError) as caught:
        ledger.read()
    assert str(caught.value).startswith(f"{ledger.path}: line 2 is damaged; choose another")
    assert "\n" not in str(caught.value)


def test_lines_that_are_lost_or_elsewhere_are_damage(ledger: Ledger) -> None:
    one, two, three = ledger.path.read_bytes().splitlines(keepends=True)
    for lines in ((two, three), (one, three), (one, three, two), (one, one, two, three)):
        ledger.path.write_bytes(b"".join(lines))
        with pytest.raises(RunDirectoryError, match="is damaged"):
            ledger.read()


def test_a_number_that_is_not_what_was_written_is_damage(ledger: Ledger) -> None:
    content = ledger.path.read_bytes()
    ledger.path.write_bytes(content.replace(b'"score": 0.5', b'"score": 0.9'))
    with pytest.raises(RunDirectoryError, match="line 2 is damaged"):
        ledger.read()
    ledger.path.write_bytes(content)
    flip(ledger.path)
    with pytest.raises(RunDirectoryError, match="is damaged"):
        ledger.read()


@pytest.mark.parametrize(
    ("events", "finding"),
    [
        ([suggested("b", 0)], "names the group b, which this search has not"),
        ([ENDED], "ends trial a0, which was never suggested"),
        ([EVENTS[1]], "reports on trial a0, which was never suggested"),
        ([suggested("a", 1)], "suggests trial 1 of a out of order"),
        ([EVENTS[0], EVENTS[0]], "suggests trial 0 of a out of order"),
    ],
)
def test_the_ledger_of_another_search_is_one_clear_error(
    events: list, finding: str, tmp_path: Path
) -> None:
    description = MadeUp(tmp_path / "other", group("a")).study.description
    ledger = Ledger(tmp_path / "ledger.jsonl")
    append(ledger, events)
    with pytest.raises(RunDirectoryError) as caught:
        Study(description, ledger, {})
    assert str(caught.value) == f"{ledger.path}: {finding}; choose another directory with --run-dir"


@pytest.mark.parametrize("cut_off", [True, False], ids=["cut off at once", "cut off later"])
def test_no_half_line_stays_where_writing_fails(
    cut_off: bool, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ledger.path.read_bytes()

    def fail(*arguments: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        if not cut_off:
            patch.setattr(os, "ftruncate", fail)
        with pytest.raises(OSError, match="Input/output error") as caught:
            ledger.append(suggested("a", 2))
    assert caught.value.filename == str(ledger.path)
    assert (ledger.path.read_bytes() == before) == cut_off
    ledger.append(suggested("a", 2))
    assert ledger.read() == [*EVENTS, suggested("a", 2)]


def test_a_line_waits_for_storage_that_is_away(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = ledger.path.with_name("away")
    patient = Ledger(ledger.path, storage_timeout=60.0)
    ledger.path.rename(away)
    ledger.path.mkdir()
    tries = [0]

    def sleep(seconds: float) -> None:
        tries[0] += 1
        if tries[0] == 3:
            ledger.path.rmdir()
            away.rename(ledger.path)

    monkeypatch.setattr("orchestrator.search.ledger.retry", partial(retry, sleep=sleep))
    patient.append(suggested("a", 2))
    assert ledger.read() == [*EVENTS, suggested("a", 2)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here: run as root or under unshare -rm")
    return folder


def test_a_full_disk_takes_whole_lines_or_none(small_disk: Path) -> None:
    try:
        ledger = Ledger(small_disk / "ledger.jsonl")
        ballast = fill(small_disk)
        os.truncate(ballast, ballast.stat().st_size - 8192)
        events = [suggested("a", number) for number in range(100)]
        with pytest.raises(OSError, match="No space left on device") as caught:
            append(ledger, events)
        assert caught.value.filename == str(ledger.path)
        assert ledger.path.read_bytes().endswith(b"}\n")
        there = ledger.read()
        assert there == events[: len(there)]
        assert len(there) > 3
        ballast.unlink()
        ledger.append(events[len(there)])
        assert ledger.read() == events[: len(there) + 1]
    finally:
        subprocess.run(["umount", "--lazy", str(small_disk)], check=True)
