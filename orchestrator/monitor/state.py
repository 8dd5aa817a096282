"""How far a running grid is and how long it will still take: pure bookkeeping, no clock, no screen.

A runner or a watcher feeds it with what trials say (``trainables/trial/progress.py``) and asks.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

from orchestrator.monitor.sparkline import Curves
from trainables.results.status import TrialStatus


@dataclass(frozen=True)
class Expected:
    """A planned trial as a watcher sees it.

    Attributes:
        key, title: which trial.
        model: trials of one model are taken to be equally fast.
        examples: training examples that it will have seen at its end.
        before: of what it says to have seen, those of the trial that it goes on from.
        group: the arm and model, or the group of a search, that it is counted with.
    """

    key: str
    title: str
    model: str
    examples: int
    before: int = 0
    group: str = ""


def cell_name(arm: str, model: str, *, tuned: bool = False) -> str:
    """The group of a planned trial: what differs in task and seed alone is counted together."""
    return f"{arm} tuned {model}" if tuned else f"{arm} {model}"


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
    state: TrialStatus = TrialStatus.PENDING
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
        if self.state is not TrialStatus.FINISHED or self.first is None or self.last is None:
            return None
        if self.started is None or self.ended is None:
            return None
        return max(0.0, self.ended - self.started - (self.last["time"] - self.first["time"]))

    @property
    def examples_left(self) -> int:
        """Training examples that it will still see."""
        done = 0 if self.last is None else max(0, self.last["examples"] - self.expected.before)
        return 0 if self.state.is_finished() else max(0, self.expected.examples - done)

    @property
    def headline(self) -> float | None:
        """Its latest evaluation, a fraction; none: there was none."""
        return None if self.last is None else self.last["headline"]

    def seconds_left(self, now: float, rate: float | None = None) -> float | None:
        """Until it has seen all its examples; none while unknown.

        Args:
            now: seconds, by the clock of what it says.
            rate: examples per second, if its own is not known.
        """
        rate = self.rate or rate
        if rate is None:
            return None
        silent = 0.0 if self.last is None else max(0.0, now - self.last["time"])
        return max(0.0, self.examples_left / rate - silent)


@dataclass
class GroupProgress:
    """The trials of a group together.

    Attributes:
        counts: how many are in each state.
        headlines: the latest evaluation of each trial that has one, in the order of the trials.
        examples, left: training examples of all its trials, and of them those not seen yet.
    """

    name: str
    counts: Counter[TrialStatus] = field(default_factory=Counter)
    headlines: list[float] = field(default_factory=list)
    examples: int = 0
    left: int = 0

    @property
    def share(self) -> float:
        """Of its examples, those that have been seen."""
        return 1 - self.left / self.examples if self.examples else 1.0


class GridProgress:
    """All planned trials of a grid, by key.

    Args:
        expected: the trials that are to run now, in the order in which they will start.
        slots: how many run at a time.
    """

    def __init__(self, expected: Iterable[Expected], slots: int = 1) -> None:
        self.trials: dict[str, TrialProgress] = {}
        self.slots = max(1, slots)
        # Kept up to date with each trial, so that what is asked often costs the same for many.
        self._counts: Counter[TrialStatus] = Counter()
        self._running: dict[str, Curves] = {}
        self._examples = self._left = 0
        self.expect(expected)

    def expect(self, expected: Iterable[Expected], instead_of: Iterable[str] = ()) -> None:
        """Take trials that become known on the way, in place of others that stood for them."""
        for key in instead_of:
            if key in self.trials:
                self._put(key, None)
        for one in expected:
            if one.key not in self.trials:
                self._put(one.key, TrialProgress(one))

    def start(self, key: str, now: float) -> None:
        """A trial begins to run, or runs again after a failure."""
        expected = self.trials[key].expected
        self._put(key, TrialProgress(expected, TrialStatus.RUNNING, started=now))

    def update(self, key: str, progress: Mapping[str, Any] | None) -> None:
        """Take what a trial says; nothing (none), a foreign key or an ended trial changes nothing.

        A trial that was not seen to start has started with its first word.
        """
        trial = self.trials.get(key)
        if trial is None or progress is None or trial.state.is_finished():
            return
        new = replace(
            trial,
            state=TrialStatus.RUNNING,
            started=progress["time"] if trial.started is None else trial.started,
            first=trial.first or progress,
            last=progress,
        )
        self._put(key, new)
        self._running[key].add(progress)

    def finish(self, key: str, state: TrialStatus, now: float) -> None:
        """A trial has ended."""
        self._put(key, replace(self.trials[key], state=state, ended=now))

    def interrupt(self, key: str) -> None:
        """A trial runs no more and has not ended; it goes on from what it has said."""
        self._put(key, replace(self.trials[key], state=TrialStatus.PENDING))

    def _put(self, key: str, new: TrialProgress | None) -> None:
        for trial, sign in ((self.trials.get(key), -1), (new, 1)):
            if trial is not None:
                self._counts[trial.state] += sign
                self._examples += sign * trial.expected.examples
                self._left += sign * trial.examples_left
        if new is None:
            self.trials.pop(key, None)
        else:
            self.trials[key] = new
        if new is None or new.state is not TrialStatus.RUNNING:
            self._running.pop(key, None)
        elif new.first is None or key not in self._running:
            self._running[key] = Curves()

    def running(self) -> list[TrialProgress]:
        """The trials that run now, in the order in which they started."""
        return [self.trials[key] for key in self._running]

    def curves(self, key: str) -> Curves:
        """What a trial that runs now has said so far."""
        return self._running[key]

    def counts(self) -> dict[TrialStatus, int]:
        """How many trials are in each state."""
        return {state: self._counts[state] for state in TrialStatus}

    def groups(self) -> list[GroupProgress]:
        """The groups of trials, in the order in which they became known."""
        groups: dict[str, GroupProgress] = {}
        for trial in self.trials.values():
            name = trial.expected.group
            group = groups.get(name)
            if group is None:
                group = groups[name] = GroupProgress(name)
            group.counts[trial.state] += 1
            group.examples += trial.expected.examples
            group.left += trial.examples_left
            if trial.headline is not None:
                group.headlines.append(trial.headline)
        return list(groups.values())

    def share(self) -> float:
        """Share of the expected examples that has been seen; ended trials count as seen."""
        return 1 - self._left / self._examples if self._examples else 1.0

    def eta(self, now: float) -> float | None:
        """Seconds until the last trial ends; none while no trial has a speed.

        Trials are laid onto the slots as a scheduler would: each takes its examples over the mean
        speed of its model's trials, or of all trials where its model has not run yet, and a
        waiting one takes the mean overhead of the finished ones besides.
        """
        rates = self._rates()
        if not self._left:
            return 0.0
        if not rates:
            return None
        general = fmean(rates.values())
        known = [t.overhead for t in self.trials.values() if t.overhead is not None]
        overhead = fmean(known) if known else 0.0
        busy = [
            trial.seconds_left(now, rates.get(trial.expected.model, general)) or 0.0
            for trial in self.running()
        ]
        slots = busy + [0.0] * max(0, self.slots - len(busy))
        heapq.heapify(slots)
        for trial in self.trials.values():
            if trial.state is TrialStatus.PENDING:
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
