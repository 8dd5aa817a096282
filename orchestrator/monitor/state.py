"""How far a running grid is and how long it will still take: pure bookkeeping, no clock, no screen.

The one model behind every live view. ``run`` and ``tune`` feed it with what the executor reports,
``watch`` with what it reads in the run directory; both plan, start, update and finish trials.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from statistics import fmean
from typing import Any

from orchestrator.monitor.sparkline import Curves
from trainables.results.metrics import macro
from trainables.results.record import TaskResult
from trainables.results.status import TrialStatus


@dataclass(frozen=True)
class Expected:
    """A planned trial as a live view counts it.

    Attributes:
        key, title: of the trial.
        model: trials of one model are assumed to be equally fast.
        examples: training examples that the trial will have seen at its end.
        before: of the examples that it reports, those of the trial that it goes on from.
        group: the arm and model, or the group of a search, that it is counted with.
    """

    key: str
    title: str
    model: str
    examples: int
    before: int = 0
    group: str = ""

    @classmethod
    def of_plan(
        cls, *, key: str, title: str, arm: str, model: str, examples: int, tuned: bool
    ) -> "Expected":
        """A trial of a plan; those that differ in task and seed alone are counted together."""
        group = f"{arm} tuned {model}" if tuned else f"{arm} {model}"
        return cls(key, title, model, examples, group=group)

    @classmethod
    def of_search(
        cls, *, key: str, group: str, model: str, examples: int, number: int, segment: int | None
    ) -> "Expected":
        """A trial of a search.

        Args:
            key: of the trial.
            group: name of the group that is searched.
            model: of the group.
            examples: training examples of the trial, or of its segment alone.
            number: of the trial in its group, counted from 0.
            segment: which part of the training, counted from 0; None for the whole.
        """
        part = "" if segment is None else f", part {segment + 1}"
        examples = max(1, examples)
        before = (segment or 0) * examples
        return cls(key, f"{group} #{number}{part}", model, examples, before, group)


@dataclass(frozen=True)
class Ending:
    """How a trial ended, read from its record.

    Attributes:
        status: of the trial.
        reason: why it failed or diverged; empty if it did not.
        seconds: from its start to its end, interruptions included.
        trained: seconds of training and evaluation.
        inherited: training examples that an earlier trial had seen, from which it went on.
        progress: what it reported last, or would have.
    """

    status: TrialStatus
    reason: str
    seconds: float
    trained: float
    inherited: int
    progress: Mapping[str, Any]

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Ending":
        """Read a record, given as JSON; also one that an older version wrote.

        Raises:
            ValueError, KeyError, TypeError, IndexError: it is no record.
        """
        seconds = trained = float(record["train_seconds"]) + float(record["eval_seconds"])
        with suppress(ValueError, TypeError):
            started, finished = (
                datetime.fromisoformat(record[name]) for name in ("started", "finished")
            )
            seconds = max(trained, (finished - started).total_seconds())
        return cls(
            TrialStatus(record["status"]),
            str(record["error"] or ""),
            seconds,
            trained,
            int(record["inherited"]) if trained > 0 else 0,
            _last_progress(record),
        )


def _last_progress(record: Mapping[str, Any]) -> dict[str, Any]:
    config, history, steps = record["config"], record["history"], int(record["steps"])
    names = list(config["tasks"])
    return {
        "epoch": float(history[-1]["epoch"]) if history else 0.0,
        "epochs": int(config["training"]["epochs"]),
        "step": steps,
        "total_steps": steps,
        "examples": int(record["examples"]),
        "loss": float(history[-1]["train_loss"]) if history else None,
        "headline": _headline(record),
        "headline_name": config["tasks"][names[0]]["headline"] if len(names) == 1 else "macro",
        "examples_per_second": int(record["examples"]) / max(float(record["train_seconds"]), 1e-9),
    }


def _headline(record: Mapping[str, Any]) -> float | None:
    """Headline of the reported epoch, on the split that progress reports; None without epochs."""
    epochs = record["history"]
    reported = [e for e in epochs if e["epoch"] == record["reported_epoch"]] or epochs[-1:]
    if not reported:
        return None
    splits, tasks = reported[0]["splits"], record["config"]["tasks"]
    results = splits.get("selection") or splits["validation"]
    return macro(
        [
            TaskResult.model_validate(result).score(tasks[name]["headline"])
            for name, result in results.items()
        ]
    )


@dataclass(frozen=True)
class TrialProgress:
    """How far one trial is.

    Attributes:
        expected: the trial.
        state: of the trial.
        started: seconds at its start, by the clock of the live view; None before.
        first: the first progress that it reported, from which its speed is measured (a continued
            trial does not begin at 0); None before.
        last: the last progress that it reported; None before.
        ended: seconds at its end, by the same clock; None before.
    """

    expected: Expected
    state: TrialStatus = TrialStatus.PENDING
    started: float | None = None
    first: Mapping[str, Any] | None = None
    last: Mapping[str, Any] | None = None
    ended: float | None = None

    @property
    def rate(self) -> float | None:
        """Examples per second, everything included; None while unknown."""
        if self.first is None or self.last is None:
            return None
        examples = self.last["examples"] - self.first["examples"]
        seconds = self.last["time"] - self.first["time"]
        if examples > 0 and seconds > 0:
            return examples / seconds
        return self.last["examples_per_second"] or None

    @property
    def overhead(self) -> float | None:
        """Seconds of a finished trial before its first report and after its last; else None."""
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
        """Its latest evaluation, a fraction; None before the first."""
        return None if self.last is None else self.last["headline"]

    def seconds_left(self, now: float, rate: float | None = None) -> float | None:
        """Seconds until it has seen all its examples; None while unknown.

        Args:
            now: seconds, by the clock of its reports.
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
        examples: training examples of all its trials.
        examples_left: of them, those that are still to be seen.
    """

    name: str
    counts: Counter[TrialStatus] = field(default_factory=Counter)
    headlines: list[float] = field(default_factory=list)
    examples: int = 0
    examples_left: int = 0

    @property
    def share(self) -> float:
        """Share of its examples that have been seen."""
        return 1 - self.examples_left / self.examples if self.examples else 1.0


class GridProgress:
    """All planned trials of a grid, by key.

    Args:
        expected: the trials that are to run now, in the order in which they will start.
        slots: how many run at a time.
    """

    def __init__(self, expected: Iterable[Expected], slots: int = 1) -> None:
        self.trials: dict[str, TrialProgress] = {}
        self.slots = max(1, slots)
        # Kept up to date with each trial, so that frequent questions cost the same for many trials.
        self._counts: Counter[TrialStatus] = Counter()
        self._running: dict[str, Curves] = {}
        self._examples = self._examples_left = 0
        self.expect(expected)

    def expect(self, expected: Iterable[Expected], instead_of: Iterable[str] = ()) -> None:
        """Add trials that become known on the way, in place of others that stood for them."""
        for key in instead_of:
            if key in self.trials:
                self._put(key, None)
        for trial in expected:
            if trial.key not in self.trials:
                self._put(trial.key, TrialProgress(trial))

    def start(self, key: str, now: float) -> None:
        """A trial begins to run, or runs again after a failure."""
        expected = self.trials[key].expected
        self._put(key, TrialProgress(expected, TrialStatus.RUNNING, started=now))

    def update(self, key: str, progress: Mapping[str, Any] | None) -> None:
        """Take what a trial reports; None, a foreign key or an ended trial changes nothing.

        A trial whose start was not reported has started with its first report.

        Args:
            key: of the trial.
            progress: see ``trainables/trial/progress.py``; its ``time`` by the clock of ``start``.
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

    def finish_as_recorded(self, key: str, ending: Ending, now: float) -> None:
        """A trial has ended; of one that reported nothing here, the record tells its speed.

        Args:
            key: of the trial.
            ending: what its record says.
            now: seconds, by the clock of ``start``; used only if its reports were seen.
        """
        last = self.trials[key].last
        if last is None:
            # By a clock that began with the trial.
            self.start(key, 0.0)
            if ending.trained > 0:
                first = {**ending.progress, "examples": ending.inherited, "time": 0.0}
                self.update(key, first)
            self.update(key, {**ending.progress, "time": ending.trained})
            now = ending.seconds
        elif (headline := ending.progress["headline"]) is not None:
            self.update(key, {**last, "headline": headline})
        self.finish(key, ending.status, now)

    def interrupt(self, key: str) -> None:
        """A trial stopped running without an end; it will go on from its last report."""
        self._put(key, replace(self.trials[key], state=TrialStatus.PENDING))

    def _put(self, key: str, new: TrialProgress | None) -> None:
        for trial, sign in ((self.trials.get(key), -1), (new, 1)):
            if trial is not None:
                self._counts[trial.state] += sign
                self._examples += sign * trial.expected.examples
                self._examples_left += sign * trial.examples_left
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
        """The curves of a trial that runs now."""
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
            group.examples_left += trial.examples_left
            if trial.headline is not None:
                group.headlines.append(trial.headline)
        return list(groups.values())

    def share(self) -> float:
        """Share of the expected examples that has been seen; ended trials count as seen."""
        return 1 - self._examples_left / self._examples if self._examples else 1.0

    def used_share(self, keys: Iterable[str]) -> float | None:
        """Share of their expected examples that ended trials took; None before the first end.

        Args:
            keys: of the trials that count; those that failed or diverged never do.
        """
        used = expected = 0
        counted = (TrialStatus.FINISHED, TrialStatus.STOPPED)
        for trial in (self.trials[key] for key in keys):
            if trial.last is not None and trial.state in counted:
                used += max(0, trial.last["examples"] - trial.expected.before)
                expected += trial.expected.examples
        return used / expected if expected else None

    def eta(self, now: float) -> float | None:
        """Seconds until the last trial ends; None while no trial has a speed.

        Trials are laid onto the slots as a scheduler would: each takes its examples over the mean
        speed of its model's trials, or of all trials where its model has not run yet, and a
        waiting one also takes the mean overhead of the finished ones.
        """
        rates = self._rates()
        if not self._examples_left:
            return 0.0
        if not rates:
            return None
        general = fmean(rates.values())
        overheads = [t.overhead for t in self.trials.values() if t.overhead is not None]
        overhead = fmean(overheads) if overheads else 0.0
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
