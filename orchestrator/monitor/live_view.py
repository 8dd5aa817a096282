"""Show a running grid: a live view on a terminal, plain lines in a log.

``orchestrator/monitor/state.py`` knows the numbers, ``orchestrator/monitor/screen.py`` draws them.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from threading import RLock
from types import TracebackType
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from orchestrator.monitor.log_snapshot import snapshot_interval, snapshot_line
from orchestrator.monitor.screen import render
from orchestrator.monitor.state import Ending, Expected, GridProgress, TrialProgress
from orchestrator.text import clock, plain
from trainables.results.status import TrialStatus
from trainables.secrets import redacted


class LiveView:
    """Shows a grid from ``with`` to the end of its block; is informed of all that its trials do.

    On a terminal it redraws itself; elsewhere (CI, a file) it prints a line when a trial starts or
    ends and a summary about every ``every`` seconds, without escape codes; also snapshots where
    they are asked for (``orchestrator/monitor/log_snapshot.py``). Any thread may call it.
    A pickled copy keeps the numbers and shows nothing, unless it is entered itself.

    Args:
        progress: the grid's bookkeeping; the view alone changes it.
        console: where to draw; None for standard output.
        now: gives seconds, by a clock that does not jump.
        every: seconds between two summary lines.
        title: of the trials, before their numbers; empty for none.

    Attributes:
        began: when the grid began, by the same clock; None until the view is entered.
    """

    def __init__(
        self,
        progress: GridProgress,
        console: Console | None = None,
        now: Callable[[], float] = time.monotonic,
        every: float = 30.0,
        title: str = "",
    ) -> None:
        self.progress = progress
        self.now = now
        self.title = title
        self.began: float | None = None
        self._console = console
        self._notes: dict[str, str] = {}
        self._status_line = ""
        self._every = every
        self._live: Live | None = None
        self._is_log = False
        self._lock = RLock()
        self._last_summary = self._last_snapshot = now()
        self._snapshot_interval = snapshot_interval()

    def __enter__(self) -> "LiveView":
        console = self._console or Console()
        self._console = console
        self._last_summary = self.now()
        self.began = self._last_summary if self.began is None else self.began
        self._is_log = not console.is_terminal or console.is_dumb_terminal
        if not self._is_log:
            self._live = Live(self, console=console, refresh_per_second=2)
            self._live.start()
        for line in self.notes():
            self._echo(line, always=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._echo(self.summary())
        self._is_log = False

    def expect(self, expected: Iterable[Expected], instead_of: Iterable[str] = ()) -> None:
        """Add trials that become known on the way (see ``GridProgress.expect``)."""
        with self._lock:
            self.progress.expect(expected, instead_of)

    def start(self, key: str) -> None:
        """A trial begins to run."""
        with self._lock:
            self.progress.start(key, self.now())
        self._echo(f"started {self._title(key)}")

    def restart(self, key: str, reason: str) -> None:
        """A trial's process has died and the trial will run again."""
        with self._lock:
            self.progress.start(key, self.now())
        self._echo(f"restarting {self._title(key)}: {reason}", always=True)

    def update(self, key: str, progress: Mapping[str, Any], at: float | None = None) -> None:
        """Take what a trial reports: its note, and its numbers while its loss is one.

        Args:
            key: of the trial.
            progress: see ``trainables/trial/progress.py``.
            at: when it was reported, by the clock of the view; None for now. The time that the
                report names is by the clock of the trial's machine, which may be another.
        """
        self._note(key, str(progress.get("note", "")))
        if progress.get("loss") is not None:
            with self._lock:
                seconds = self.now() if at is None else at
                self.progress.update(key, {**progress, "time": seconds})
        self.tick()

    def interrupt(self, keys: Collection[str] | None = None) -> None:
        """No trial runs any more, or none with these keys does."""
        with self._lock:
            for trial in self.progress.running():
                if keys is None or trial.expected.key in keys:
                    self.progress.interrupt(trial.expected.key)

    def notes(self) -> list[str]:
        """What does not go as planned in the trials that run, a line each."""
        with self._lock:
            notes = ((t.expected, self._notes.get(t.expected.key)) for t in self.progress.running())
            return [f"{expected.title}: {text}" for expected, text in notes if text]

    def status_line(self, text: str) -> None:
        """Show a line about the whole, in place of the one before; empty for none."""
        with self._lock:
            is_new = text and text != self._status_line
            self._status_line = text
        if is_new:
            self._echo(text)

    def finish(self, key: str, state: TrialStatus, reason: str = "") -> None:
        """A trial has ended now.

        Args:
            key: of the trial.
            state: how it ended.
            reason: why it failed; where it is empty, its headline is shown.
        """
        with self._lock:
            self.progress.finish(key, state, self.now())
            trial = self.progress.trials[key]
        seconds = None
        if trial.started is not None and trial.ended is not None:
            seconds = trial.ended - trial.started
        self._echo_end(trial, reason, seconds)

    def finish_as_recorded(self, key: str, ending: Ending) -> None:
        """A trial has ended, perhaps without having been seen to run (see ``GridProgress``)."""
        with self._lock:
            was_seen = self.progress.trials[key].last is not None
            self.progress.finish_as_recorded(key, ending, self.now())
            trial = self.progress.trials[key]
        if not was_seen:
            self._echo(f"started {trial.expected.title}")
        self._echo_end(trial, ending.reason, ending.seconds)

    def tick(self) -> None:
        """Print a summary line where one is due; the live view redraws by itself."""
        with self._lock:
            if self._is_log and self.now() - self._last_summary >= self._every:
                self._echo(self.summary())
                self._last_summary = self.now()
            interval = self._snapshot_interval
            if interval and self.now() - self._last_snapshot >= interval:
                self._print_snapshot()

    def summary(self) -> str:
        """How far the grid is, in one line."""
        counts = self.progress.counts()
        done = sum(n for state, n in counts.items() if state.is_finished())
        notable = (TrialStatus.STOPPED, TrialStatus.FAILED, TrialStatus.DIVERGED)
        parts = [
            f"{self.title}{': ' * bool(self.title)}{done} of {len(self.progress.trials)} done",
            f"{counts[TrialStatus.RUNNING]} running",
            f"{counts[TrialStatus.PENDING]} left",
            *(f"{counts[state]} {state}" for state in notable if counts[state]),
        ]
        elapsed = 0.0 if self.began is None else max(0.0, self.now() - self.began)
        text = f"{', '.join(parts)}; {clock(elapsed)} elapsed"
        if done == len(self.progress.trials):
            return text
        return f"{text}, about {clock(self.progress.eta(self.now()))} to go"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            lines = [self.summary(), self._status_line]
            parts = render(self.progress, self.now(), lines, options)
        yield from parts

    def _title(self, key: str) -> str:
        return self.progress.trials[key].expected.title

    def _note(self, key: str, text: str) -> None:
        """What does not go as planned in a trial, in its own words; empty if all does."""
        with self._lock:
            is_new = text and text != self._notes.get(key)
            self._notes[key] = text
        if is_new:
            self._echo(f"{self._title(key)}: {text}", always=True)

    def _print_snapshot(self) -> None:
        """Print the live view as one line; only in a log."""
        self._last_snapshot = self.now()
        if self._is_log and self._console is not None:
            self._console.print(Text(snapshot_line(self)), soft_wrap=True)

    def _echo_end(self, trial: TrialProgress, reason: str, seconds: float | None) -> None:
        headline = "" if trial.last is None else _headline(trial.last)
        took = "" if seconds is None else f"{clock(seconds)} after its start"
        details = ", ".join(text for text in (reason or headline, took) if text)
        line = f"{trial.state} {trial.expected.title}{f': {details}' if details else ''}"
        self._echo(line, always=trial.state in (TrialStatus.FAILED, TrialStatus.DIVERGED))

    def _echo(self, line: str, always: bool = False) -> None:
        """Print a line in a log; above the live view only what is important ``always``.

        Never called with the view's lock held on a terminal: the thread that redraws holds the
        console's own lock when it asks for this one.
        """
        line = redacted(line)
        if always and self._live is not None:
            self._live.console.print(Text(plain(line), overflow="fold"))
        if self._is_log and self._console is not None:
            self._console.print(Text(plain(line)), soft_wrap=True)


def _headline(progress: Mapping[str, Any]) -> str:
    if progress["headline"] is None:
        return ""
    return f"{plain(progress['headline_name'])}={progress['headline']:.3f}"
