"""The live view and the time that a grid will still take."""

import io
import threading
from collections.abc import Callable

import pytest
from rich.console import Console

from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.state import Expected, GridProgress
from trainables.results.status import TrialStatus


def said(examples: int, time: float, **changes) -> dict:
    """What a trial says."""
    return {
        "epoch": 1.26,
        "epochs": 3,
        "step": 5,
        "total_steps": 10,
        "examples": examples,
        "loss": 0.5,
        "headline": None,
        "headline_name": "macro",
        "examples_per_second": 0.0,
        "time": time,
    } | changes


def planned(n: int, slots: int = 1, model: str = "a") -> GridProgress:
    return GridProgress([Expected(f"k{i}", f"trial {i}", model, 1000) for i in range(n)], slots)


class Clock:
    """Unix seconds that only move when told."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


@pytest.mark.parametrize("state", TrialStatus)
def test_only_ended_states_are_finished(state: TrialStatus) -> None:
    assert state.is_finished() == (state.value in ("finished", "failed", "diverged", "stopped"))


def test_counts_follow_the_trials() -> None:
    grid = planned(4)
    grid.start("k0", 0.0)
    grid.start("k1", 0.0)
    grid.finish("k1", TrialStatus.DIVERGED, 1.0)
    grid.update("k2", said(10, 1.0))
    counts = grid.counts()
    assert counts[TrialStatus.RUNNING] == 2, "a trial that speaks runs"
    assert counts[TrialStatus.DIVERGED] == 1
    assert counts[TrialStatus.PENDING] == 1


def test_there_is_no_eta_before_the_first_speed_and_none_needed_at_the_end() -> None:
    grid = planned(1)
    assert grid.eta(0.0) is None
    grid.start("k0", 0.0)
    assert grid.eta(1.0) is None
    grid.finish("k0", TrialStatus.FINISHED, 2.0)
    assert grid.eta(2.0) == 0.0
    assert grid.share() == 1.0


def test_eta_of_one_trial_is_what_is_left_over_its_speed_and_runs_down() -> None:
    grid = planned(1)
    grid.update("k0", said(0, 0.0))
    grid.update("k0", said(500, 50.0))
    assert grid.eta(50.0) == pytest.approx(50.0)
    assert grid.eta(60.0) == pytest.approx(40.0)
    assert grid.eta(1000.0) == 0.0


@pytest.mark.parametrize(("slots", "seconds"), [(1, 450.0), (2, 250.0), (4, 150.0)])
def test_waiting_trials_are_laid_onto_the_slots(slots: int, seconds: float) -> None:
    grid = planned(5, slots)
    grid.update("k0", said(0, 0.0))
    grid.update("k0", said(500, 50.0))
    # 50 s are left of the first one; each of the four others takes 100 s.
    assert grid.eta(50.0) == pytest.approx(seconds)


def test_a_model_that_ran_has_its_own_speed_and_another_the_mean() -> None:
    fast = [Expected("f0", "", "fast", 1000), Expected("f1", "", "fast", 1000)]
    slow = [Expected("s0", "", "slow", 1000), Expected("s1", "", "slow", 1000)]
    grid = GridProgress([*fast, *slow], slots=1)
    for key, rate in (("f0", 100.0), ("s0", 10.0)):
        grid.update(key, said(0, 0.0))
        grid.update(key, said(1000, 1000 / rate))
        grid.finish(key, TrialStatus.FINISHED, 1000 / rate)
    # Both trials run from 0 to their last word, so neither has an overhead.
    assert grid.eta(100.0) == pytest.approx(10.0 + 100.0)
    other = GridProgress([*fast, Expected("n", "", "new", 1000)], slots=1)
    other.update("f0", said(0, 0.0))
    other.update("f0", said(1000, 10.0))
    other.finish("f0", TrialStatus.FINISHED, 10.0)
    assert other.eta(10.0) == pytest.approx(10.0 + 10.0)


def test_waiting_trials_pay_the_overhead_of_the_finished_ones() -> None:
    grid = planned(2)
    grid.start("k0", 0.0)
    grid.update("k0", said(0, 5.0))
    grid.update("k0", said(1000, 15.0))
    grid.finish("k0", TrialStatus.FINISHED, 18.0)
    assert grid.eta(18.0) == pytest.approx(10.0 + 8.0)


def test_a_continued_trial_is_not_taken_for_a_fast_one() -> None:
    grid = planned(1)
    grid.update("k0", said(800, 100.0))
    grid.update("k0", said(900, 110.0))
    assert grid.eta(110.0) == pytest.approx(10.0)


def test_what_the_trial_before_has_seen_is_neither_left_nor_done() -> None:
    grid = GridProgress([Expected("k", "part 3", "a", 1000, before=2000)])
    grid.update("k", said(2000, 0.0))
    assert grid.share() == 0.0
    grid.update("k", said(2500, 50.0))
    assert grid.share() == 0.5
    assert grid.eta(50.0) == pytest.approx(50.0)
    # Where it has to train all of it again, nothing of this part is done yet.
    again = GridProgress([Expected("k", "part 3", "a", 1000, before=2000)])
    again.update("k", said(500, 0.0))
    assert again.share() == 0.0


def test_a_failed_trial_leaves_nothing_to_wait_for_and_may_run_again() -> None:
    grid = planned(1)
    grid.update("k0", said(0, 0.0, examples_per_second=10.0))
    grid.finish("k0", TrialStatus.FAILED, 1.0)
    assert grid.eta(1.0) == 0.0
    grid.update("k0", said(999, 2.0))
    assert grid.counts()[TrialStatus.FAILED] == 1, "a late word does not wake it"
    grid.start("k0", 3.0)
    assert [t.expected.key for t in grid.running()] == ["k0"]


def test_silence_and_foreign_keys_change_nothing() -> None:
    grid = planned(1)
    grid.update("k0", None)
    grid.update("stranger", said(1, 1.0))
    assert grid.counts()[TrialStatus.PENDING] == 1


def follow(console: Console, clock: Clock) -> None:
    """Two trials: one finishes, one fails."""
    with LiveView(planned(2), console, now=clock, every=30.0) as view:
        view.start("k0")
        clock.time = 10.0
        view.update("k0", said(400, 10.0, headline=0.8125, examples_per_second=40.0))
        clock.time = 31.0
        view.update("k0", said(900, 31.0, headline=0.8125, examples_per_second=40.0))
        view.tick()
        view.finish("k0", TrialStatus.FINISHED)
        view.start("k1")
        view.finish("k1", TrialStatus.FAILED, "[red]out of\nmemory")


def test_a_log_gets_plain_lines() -> None:
    file = io.StringIO()
    follow(Console(file=file, width=40), Clock())
    lines = file.getvalue().splitlines()
    assert "\x1b" not in file.getvalue()
    assert lines[0] == "started trial 0"
    assert lines[1].startswith("0 of 2 done, 1 running, 1 left; 0:00:31 elapsed, about 0:00:")
    assert lines[2] == "finished trial 0: macro=0.812, 0:00:31 after its start"
    assert lines[3] == "started trial 1"
    assert lines[4].startswith("failed trial 1: [red]out of memory")
    assert lines[5] == "2 of 2 done, 0 running, 0 left, 1 failed; 0:00:31 elapsed"
    assert len(lines) == 6, "one summary per 30 seconds"


def test_a_terminal_gets_a_live_view_that_ends_with_the_whole() -> None:
    file = io.StringIO()
    follow(Console(file=file, width=100, force_terminal=True), Clock())
    text = file.getvalue()
    assert "\x1b[" in text
    assert "failed trial 1: [red]out of memory" in text
    assert "2 of 2 done" in text.split("100 %")[-1]


class Beside(io.StringIO):
    """A terminal that, whatever is written to it, lets another thread draw the view first."""

    def __init__(self) -> None:
        super().__init__()
        self.view: LiveView | None = None
        self.waited = 0

    def write(self, text: str) -> int:
        view, self.view = self.view, None
        if view is not None:
            console = Console(file=io.StringIO(), width=80)
            thread = threading.Thread(target=console.print, args=[view], daemon=True)
            thread.start()
            thread.join(10)
            self.waited += thread.is_alive()
        return super().write(text)


@pytest.mark.parametrize(
    "tell",
    [
        lambda view: view.restart("k0", "its process died"),
        lambda view: view.update("k0", {"note": "not saved"}),
        lambda view: view.status_line("damaged"),
        lambda view: view.finish("k0", TrialStatus.FAILED, "out of memory"),
    ],
    ids=["restart", "note", "status line", "finish"],
)
def test_nobody_waits_for_a_lock_while_a_line_is_written(
    tell: Callable[[LiveView], None],
) -> None:
    terminal = Beside()
    console = Console(file=terminal, width=100, force_terminal=True)
    view = LiveView(planned(2), console, now=Clock())
    view.progress.start("k0", 0.0)
    view.__enter__()
    # Nothing but what is told here draws: the view's own thread would hold the console.
    assert view._live is not None
    view._live.stop()
    terminal.view = view
    tell(view)
    assert terminal.waited == 0


def test_what_was_noted_before_a_view_is_shown_is_told_in_it() -> None:
    file = io.StringIO()
    view = LiveView(planned(3), Console(file=file, width=100), now=Clock())
    for key in ("k0", "k1"):
        view.start(key)
        view.update(key, {"note": f"not saved {key}"})
    view.update("k1", {"note": ""})
    assert file.getvalue() == ""
    with view:
        view.update("k0", {"note": "not saved k0"})
    assert file.getvalue().splitlines()[:-1] == ["trial 0: not saved k0"]


def test_the_view_has_a_line_per_running_trial() -> None:
    view = LiveView(planned(3), now=Clock())
    view.start("k0")
    view.start("k1")
    view.update("k1", said(400, 10.0, headline=0.8125, examples_per_second=40.0))
    console = Console(file=io.StringIO(), width=80, record=True)
    console.print(view)
    text = console.export_text()
    assert "trial 0" in text
    assert "starts" in text
    line = next(line for line in text.splitlines() if "trial 1" in line)
    for word in ("1.3/3", "0.500", "0.812", " 40 "):
        assert word in line
    assert "trial 2" not in text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 12), (200, 50)])
def test_thousands_of_trials_fit_the_terminal(width: int, height: int) -> None:
    names = [f"shared_encoder_with_a_long_name_{i % 90} minilm-l6" for i in range(2000)]
    grid = GridProgress(
        [
            Expected(f"k{i}", f"{name} seed {i}", "a", 1000, group=name)
            for i, name in enumerate(names)
        ]
    )
    for i in range(64):
        grid.update(f"k{i}", said(400, 10.0, headline=0.8125, examples_per_second=40.0))
    grid.finish("k0", TrialStatus.FINISHED, 10.0)
    file = io.StringIO()
    console = Console(file=file, width=width, height=height, force_terminal=True, color_system=None)
    console.print(LiveView(grid, now=Clock()))
    lines = file.getvalue().splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    text = file.getvalue()
    assert "more groups" in text
    assert "more that run" in text
    assert " 0.812 " in text


def test_a_group_is_counted_with_its_latest_scores() -> None:
    cells = [("k0", "a x"), ("k1", "a x"), ("k2", "b x"), ("k3", "a x")]
    grid = GridProgress([Expected(key, key, "m", 1000, group=group) for key, group in cells])
    for key, headline in (("k0", 0.5), ("k1", 0.75), ("k2", None)):
        grid.update(key, said(500, 1.0, headline=headline))
    grid.finish("k1", TrialStatus.FINISHED, 2.0)
    a, b = grid.groups()
    assert (a.name, b.name) == ("a x", "b x")
    assert (a.counts[TrialStatus.RUNNING], a.counts[TrialStatus.FINISHED]) == (1, 1)
    assert a.headlines == [0.5, 0.75]
    assert a.share == pytest.approx(0.5)
    assert (b.headlines, b.share) == ([], 0.5)


def test_a_status_line_stays_in_view_and_is_one_line_of_a_log() -> None:
    file = io.StringIO()
    with LiveView(planned(1), Console(file=file, width=300), now=Clock()) as view:
        for text in ("silent", "silent", "", "silent"):
            view.status_line(text)
        console = Console(file=io.StringIO(), width=80, record=True)
        console.print(view)
    assert "silent" in console.export_text()
    assert file.getvalue().splitlines()[:2] == ["silent", "silent"]
    assert file.getvalue().count("silent") == 2
