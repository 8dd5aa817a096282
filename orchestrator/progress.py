"""How far a running grid is and how long it will still take: pure bookkeeping, no clock, no screen.

A runner or a watcher feeds it with what trials say (``trainables/progress.py``) and asks.
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from statistics import fmean
from typing import Any


class TrialState(Enum):
    """Where a trial is in its life."""

    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    DIVERGED = "diverged"
    STOPPED = "stopped"

    @property
    def is_finished(self) -> bool:
        """Whether it has ended, well or badly."""
        return self not in (TrialState.PENDING, TrialState.RUNNING)


@dataclass(frozen=True)
class Expected:
    """A planned trial as a watcher sees it.

    Attributes:
        key, title: which trial.
        model: trials of one model are taken to be equally fast.
        examples: training examples that it will have seen at its end.
        before: of what it says to have seen, those of the trial that it goes on from.
    """

    key: str
    title: str
    model: str
    examples: int
    before: int = 0


@dataclass(frozen=True)
class TrialProgress:
    """What is known of one trial.

    Attributes:
        started: seconds, by the clock of the watcher, when it began to run here; none before.
        first: what it said first, from which its speed is measured (a continued trial does not
            begin at 0); none before.
        last: what it said last; none before.
        ended: seconds at its end, by the same clock; none before.
    """

    expected: Expected
    state: TrialState = TrialState.PENDING
    started: float | None = None
    first: Mapping[str, Any] | None = None
    last: Mapping[str, Any] | None = None
    ended: float | None = None

    @property
    def rate(self) -> float | None:
        """Examples per second, everything included; none while unknown."""
        if self.first is None or self.last is None:
            return None
        examples = self.last["examples"] - self.first["examples"]
        seconds = self.last["time"] - self.first["time"]
        if examples > 0 and seconds > 0:
            return examples / seconds
        return self.last["examples_per_second"] or None

    @property
    def overhead(self) -> float | None:
        """Seconds of a finished trial before its first word and after its last; else none."""
        if self.state is not TrialState.FINISHED or self.first is None or self.last is None:
            return None
        if self.started is None or self.ended is None:
            return None
        return max(0.0, self.ended - self.started - (self.last["time"] - self.first["time"]))

    @property
    def examples_left(self) -> int:
        """Training examples that it will still see."""
        done = 0 if self.last is None else max(0, self.last["examples"] - self.expected.before)
        return 0 if self.state.is_finished else max(0, self.expected.examples - done)


class GridProgress:
    """All planned trials of a grid, by key.

    Args:
        expected: the trials that are to run now, in the order in which they will start.
        slots: how many run at a time.
    """

    def __init__(self, expected: Iterable[Expected], slots: int = 1) -> None:
        self.trials = {one.key: TrialProgress(one) for one in expected}
        self.slots = max(1, slots)

    def expect(self, expected: Iterable[Expected], instead_of: Iterable[str] = ()) -> None:
        """Take trials that become known on the way, in place of others that stood for them."""
        for key in instead_of:
            self.trials.pop(key, None)
        for one in expected:
            self.trials.setdefault(one.key, TrialProgress(one))

    def start(self, key: str, now: float) -> None:
        """A trial begins to run, or runs again after a failure."""
        expected = self.trials[key].expected
        self.trials[key] = TrialProgress(expected, TrialState.RUNNING, started=now)

    def update(self, key: str, progress: Mapping[str, Any] | None) -> None:
        """Take what a trial says; nothing (none), a foreign key or an ended trial changes nothing.

        A trial that was not seen to start has started with its first word.
        """
        trial = self.trials.get(key)
        if trial is None or progress is None or trial.state.is_finished:
            return
        self.trials[key] = replace(
            trial,
            state=TrialState.RUNNING,
            started=progress["time"] if trial.started is None else trial.started,
            first=trial.first or progress,
            last=progress,
        )

    def finish(self, key: str, state: TrialState, now: float) -> None:
        """A trial has ended."""
        self.trials[key] = replace(self.trials[key], state=state, ended=now)

    def running(self) -> list[TrialProgress]:
        """The trials that run now, in the plan's order."""
        return [t for t in self.trials.values() if t.state is TrialState.RUNNING]

    def counts(self) -> dict[TrialState, int]:
        """How many trials are in each state."""
        states = [trial.state for trial in self.trials.values()]
        return {state: states.count(state) for state in TrialState}

    def share(self) -> float:
        """Share of the expected examples that has been seen; ended trials count as seen."""
        total = sum(trial.expected.examples for trial in self.trials.values())
        left = sum(trial.examples_left for trial in self.trials.values())
        return 1 - left / total if total else 1.0

    def eta(self, now: float) -> float | None:
        """Seconds until the last trial ends; none while no trial has a speed.

        Trials are laid onto the slots as a scheduler would: each takes its examples over the mean
        speed of its model's trials, or of all trials where its model has not run yet, and a
        waiting one takes the mean overhead of the finished ones besides.
        """
        rates = self._rates()
        if not any(trial.examples_left for trial in self.trials.values()):
            return 0.0
        if not rates:
            return None
        general = fmean(rates.values())
        known = [t.overhead for t in self.trials.values() if t.overhead is not None]
        overhead = fmean(known) if known else 0.0
        busy = []
        for trial in self.running():
            rate = trial.rate or rates.get(trial.expected.model, general)
            silent = 0.0 if trial.last is None else max(0.0, now - trial.last["time"])
            busy.append(max(0.0, trial.examples_left / rate - silent))
        slots = busy + [0.0] * max(0, self.slots - len(busy))
        heapq.heapify(slots)
        for trial in self.trials.values():
            if trial.state is TrialState.PENDING:
                seconds = trial.expected.examples / rates.get(trial.expected.model, general)
                heapq.heapreplace(slots, slots[0] + seconds + overhead)
        return max(slots)

    def _rates(self) -> dict[str, float]:
        """Model -> mean examples per second of one of its trials."""
        rates: dict[str, list[float]] = {}
        for trial in self.trials.values():
            if trial.rate is not None:
                rates.setdefault(trial.expected.model, []).append(trial.rate)
        return {model: fmean(values) for model, values in rates.items()}
