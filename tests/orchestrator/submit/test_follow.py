"""A job's log is shown once and whole, however often the connection is lost."""

import asyncio
import io
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from orchestrator.monitor.log_snapshot import snapshot_line
from orchestrator.submit import follow as module
from orchestrator.submit.follow import LOST_SECONDS, follow, showing
from orchestrator.submit.results import packed
from tests.helpers.fake_job_server import LOST, Server
from trainables.errors import ClusterLostError

LOG = "one\ntwo\n\nfour, and more\n"


def shown(server: Server) -> tuple[str, list[str]]:
    """What is shown of the job's log, and what is said of the connection."""
    pieces: list[str] = []
    said: list[str] = []
    follow(server, "job-1", pieces.append, said.append, sleep=lambda seconds: None)  # type: ignore[arg-type]
    return "".join(pieces), said


@given(cuts=st.lists(st.integers(0, len(LOG)), max_size=4), width=st.integers(1, 7))
def test_every_character_is_shown_once(cuts: list[int], width: int) -> None:
    """Connections that break after so many characters, then one that does not."""
    connections = [
        [*(LOG[at : min(at + width, cut)] for at in range(0, cut, width)), LOST] for cut in cuts
    ]
    whole = [LOG[at : at + 3] for at in range(0, len(LOG), 3)]
    text, said = shown(Server([*connections, whole]))
    assert text == LOG
    assert said == [f"{LOST}; the job goes on, trying again", "connected again"] * len(cuts)


def test_a_silent_connection_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(Server):
        silent = 2

        async def tail(self, submission_id: str) -> AsyncGenerator[str]:
            if self.silent:
                self.silent -= 1
                yield LOG[:5]
                await asyncio.sleep(60)
            async for piece in super().tail(submission_id):
                yield piece

    monkeypatch.setattr(module, "SILENCE_SECONDS", 0.01)
    assert shown(Silent([[LOG]])) == (LOG, [])


def test_a_cluster_that_stays_away_is_given_up() -> None:
    clock = [0.0]

    class Away(Server):
        def job(self, submission_id: str) -> None:  # type: ignore[override]
            raise LOST

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    said: list[str] = []
    with pytest.raises(ClusterLostError, match="it is away"):
        follow(Away(), "job-1", print, said.append, sleep, lambda: clock[0])  # type: ignore[arg-type]
    assert clock[0] == LOST_SECONDS
    # Once, not at every attempt.
    assert len(said) == 1


@given(sizes=st.lists(st.integers(1, 400), min_size=1))
def test_lines_are_shown_without_results_and_control_characters(sizes: list[int]) -> None:
    log = (
        "begin\n\nbell\a and \x1b[2Jerased\n"
        + packed({"table.md": "secretly long " * 500})
        + f"{snapshot_line('a picture')}\n"
        + "after\nno end of line"
    )
    console = Console(file=io.StringIO(), width=200)
    with showing(console) as show:
        at = 0
        for size in [*sizes, len(log)]:
            show(log[at : at + size])
            at += size
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines == ["begin", "", "bell and [2Jerased", "after", "no end of line"]


def test_on_a_terminal_the_last_picture_stands_below_the_lines() -> None:
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True)
    with showing(console) as show:
        first, second = snapshot_line("first picture"), snapshot_line("second picture")
        show(f"begin\n{first}\nnext\n{second[:-9]}\n")
        last = file.getvalue().rpartition("next")[2]
        assert "first picture" in last, "one that was cut changes nothing"
        show(f"{snapshot_line('third picture')}\nend\n")
        last = file.getvalue().rpartition("end")[2]
        assert "third picture" in last
    assert "-----LIVE" not in file.getvalue()
