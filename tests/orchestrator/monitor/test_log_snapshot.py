"""A live view as a line of a log."""

import base64
import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from orchestrator.monitor import log_snapshot
from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.log_snapshot import is_snapshot, read_snapshot, snapshot_line
from orchestrator.monitor.state import Expected, GridProgress


def test_a_line_is_drawn_as_what_it_was_made_of() -> None:
    line = snapshot_line(Text("loss 0.5 \u2581\u2588", style="red"))
    assert is_snapshot(line)
    assert line.isascii()
    assert "\n" not in line
    drawn = read_snapshot(line)
    assert drawn is not None
    assert drawn.plain == "loss 0.5 \u2581\u2588"
    assert [str(span.style) for span in drawn.spans] == ["color(1)"]


def test_a_picture_moves_no_cursor() -> None:
    evil = "a\x1b[2Jb\x1b]0;title\x07c\rd\x1b[1me"
    data = base64.b64encode(gzip.compress(evil.encode())).decode()
    drawn = read_snapshot(f"-----LIVE {data}-----")
    assert drawn is not None
    assert drawn.plain == "a[2Jb]0;titlecde"


@given(cut=st.integers(1, 200), at=st.integers(0, 200), other=st.characters())
def test_a_damaged_line_is_nothing_or_text(cut: int, at: int, other: str) -> None:
    line = snapshot_line("some text " * 9)
    assert read_snapshot(line[:-cut]) is None
    changed = read_snapshot(line[:at] + other + line[at + 1 :])
    assert changed is None or changed.plain.split() == ["some", "text"] * 9


def test_a_picture_that_unpacks_to_very_much_is_cut() -> None:
    data = base64.b64encode(gzip.compress(b"x" * 10**7)).decode()
    drawn = read_snapshot(f"-----LIVE {data}-----")
    assert drawn is not None
    assert len(drawn.plain) == log_snapshot.LARGEST


@pytest.mark.parametrize(("asked", "expected"), [("10", 2), ("", 0), ("soon", 0)])
def test_a_log_has_pictures_where_they_are_asked_for(
    asked: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(log_snapshot.SECONDS, asked)
    clock = [0.0]
    file = io.StringIO()
    progress = GridProgress([Expected("a", "single_task tiny", "tiny", 100)])
    with LiveView(progress, Console(file=file, width=80), lambda: clock[0]) as view:
        view.start("a")
        for clock[0] in (5.0, 10.0, 12.0, 20.0):
            view.tick()
    lines = [line for line in file.getvalue().splitlines() if is_snapshot(line)]
    assert len(lines) == expected
    for line in lines:
        drawn = read_snapshot(line)
        assert drawn is not None
        assert "0 of 1 done" in drawn.plain
