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

from orchestrator.monitor.log_snapshot import asked_for, line_of
from orchestrator.monitor.screen import drawn
from orchestrator.monitor.state import Expected, GridProgress, TrialProgress
from orchestrator.text import clock, plain
from trainables.results.status import TrialStatus
from trainables.secrets import redacted


class LiveView:
    """Follows a grid from ``with`` to the end of its block; told of every trial's fate.

    On a terminal it redraws itself; elsewhere (CI, a file) it prints a line when a trial starts or
    ends and a summary about every ``every`` seconds, without escape codes, besides pictures where
    they are asked for (``orchestrator/monitor/log_snapshot.py``). Trials may speak from any thread.
    A pickled copy keeps the numbers and shows nothing, unless it is entered itself.

    Args:
        progress: the grid's bookkeeping; its ``start``, ``update`` and ``finish`` are called here.
        console: where to draw; none: standard output.
        now: gives seconds, by a clock that does not jump.
        every: seconds between two summary lines.

    Attributes:
        began: when the grid began, by the same clock; none: when the view is entered.
    """

    def __init__(
        self,
        progress: GridProgress,
        console: Console | None = None,
        now: Callable[[], float] = time.monotonic,
        every: float = 30.0,
    ) -> None:
        self.progress = progress
        self._console = console
        self.now = now
        self._notes: dict[str, str] = {}
        self._every = every
        self._live: Live | None = None
        self._plain = False
        self._lock = RLock()
        self._remark = ""
        self.began: float | None = None
        self._said = self._pictured = now()
        self._pictures = asked_for()

    def __getstate__(self) -> dict[str, Any]:
        passive = {"_console": None, "_live": None, "_plain": False, "_lock": None}
        return self.__dict__ | passive

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"_lock": RLock()})

    def __enter__(self) -> "LiveView":
        console = self._console or Console()
        self._console = console
        self._said = self.now()
        self.began = self._said if self.began is None else self.began
        self._plain = not console.is_terminal or console.is_dumb_terminal
        if not self._plain:
            self._live = Live(self, console=console, refresh_per_second=2)
            self._live.start()
        for line in self.noted():
            self._say(line, always=True)
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
        self._say(self.summary())
        self._plain = False

    def expect(self, expected: Iterable[Expected], instead_of: Iterable[str] = ()) -> None:
        """Take trials that become known on the way (see ``GridProgress.expect``)."""
        with self._lock:
            self.progress.expect(expected, instead_of)

    def start(self, key: str, at: float | None = None) -> None:
        """A trial begins to run, now or ``at`` a time."""
        with self._lock:
            self.progress.start(key, self.now() if at is None else at)
        self._say(f"started {self._title(key)}")

    def restart(self, key: str, reason: str) -> None:
        """A trial's process has died and the trial will run again."""
        with self._lock:
            self.progress.start(key, self.now())
        self._say(f"restarting {self._title(key)}: {reason}", always=True)

    def update(self, key: str, progress: Mapping[str, Any] | None) -> None:
        """Take what a trial says of itself (``trainables/trial/progress.py``)."""
        with self._lock:
            self.progress.update(key, progress)
        self.tick()

    def note(self, key: str, text: str) -> None:
        """What does not go as planned in a trial, in its own words; empty: nothing."""
        with self._lock:
            new = text and text != self._notes.get(key)
            self._notes[key] = text
        if new:
            self._say(f"{self._title(key)}: {text}", always=True)

    def interrupt(self, keys: Collection[str] | None = None) -> None:
        """Nothing runs any more, or none of these trials does."""
        with self._lock:
            for trial in self.progress.running():
                if keys is None or trial.expected.key in keys:
                    self.progress.interrupt(trial.expected.key)

    def noted(self) -> list[str]:
        """What does not go as planned in the trials that run, a line each."""
        with self._lock:
            notes = ((t.expected, self._notes.get(t.expected.key)) for t in self.progress.running())
            return [f"{expected.title}: {text}" for expected, text in notes if text]

    def remark(self, text: str) -> None:
        """What is to be known of the whole; it stays in view until there is another, or none."""
        with self._lock:
            new = text and text != self._remark
            self._remark = text
        if new:
            self._say(text)

    def finish(
        self,
        key: str,
        state: TrialStatus,
        reason: str = "",
        at: float | None = None,
        took: float | None = None,
    ) -> None:
        """A trial has ended.

        Args:
            key: which.
            state: how.
            reason: why it failed.
            at: when; none: now.
            took: seconds since its start, where that was not seen.
        """
        with self._lock:
            self.progress.finish(key, state, self.now() if at is None else at)
            trial = self.progress.trials[key]
        line = f"{state.value} {trial.expected.title}{_ending(trial, reason, took)}"
        self._say(line, always=state in (TrialStatus.FAILED, TrialStatus.DIVERGED))

    def tick(self) -> None:
        """Print a summary line where one is due; the live view redraws by itself."""
        with self._lock:
            if self._plain and self.now() - self._said >= self._every:
                self._say(self.summary())
                self._said = self.now()
            if self._pictures and self.now() - self._pictured >= self._pictures:
                self._picture()

    def summary(self) -> str:
        """How far the grid is, in one line."""
        counts = self.progress.counts()
        done = sum(n for state, n in counts.items() if state.is_finished())
        other = (TrialStatus.STOPPED, TrialStatus.FAILED, TrialStatus.DIVERGED)
        bad = [f"{counts[state]} {state.value}" for state in other]
        parts = [
            f"{done} of {len(self.progress.trials)} done",
            f"{counts[TrialStatus.RUNNING]} running",
            f"{counts[TrialStatus.PENDING]} left",
            *(text for text in bad if not text.startswith("0 ")),
        ]
        elapsed = 0.0 if self.began is None else max(0.0, self.now() - self.began)
        text = f"{', '.join(parts)}; {clock(elapsed)} elapsed"
        if done == len(self.progress.trials):
            return text
        return f"{text}, about {clock(self.progress.eta(self.now()))} to go"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            parts = drawn(self.progress, self.now(), [self.summary(), self._remark], options)
        yield from parts

    def _title(self, key: str) -> str:
        return self.progress.trials[key].expected.title

    def _picture(self) -> None:
        """Print the live view as a line; only in a log."""
        self._pictured = self.now()
        if self._plain and self._console is not None:
            self._console.print(Text(line_of(self)), soft_wrap=True)

    def _say(self, line: str, always: bool = False) -> None:
        """Print a line in a log; above the live view only what is important ``always``.

        Never called with the view's lock held on a terminal: the thread that redraws holds the
        console's own lock when it asks for this one.
        """
        line = redacted(line)
        if always and self._live is not None:
            self._live.console.print(Text(plain(line), overflow="fold"))
        if self._plain and self._console is not None:
            self._console.print(Text(plain(line)), soft_wrap=True)


def _headline(last: Mapping[str, Any]) -> str:
    if last["headline"] is None:
        return ""
    return f"{plain(last['headline_name'])}={last['headline']:.3f}"


def _ending(trial: TrialProgress, reason: str, took: float | None) -> str:
    headline = "" if trial.last is None else _headline(trial.last)
    parts = [reason or headline]
    if took is None and trial.started is not None and trial.ended is not None:
        took = trial.ended - trial.started
    if took is not None:
        parts.append(f"{clock(took)} after its start")
    text = ", ".join(part for part in parts if part)
    return f": {text}" if text else ""
