"""Group trials into the rows of a table and their results into numbers per seed.

A row is an arm and a model, at the preset's settings or tuned. One seed of it is one trial, or for
``single_task`` one trial per task; either way a seed ends as one result per task, and every number
of the table follows from those.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean, stdev
from typing import Protocol

from trainables.config.trial import TrialConfig
from trainables.errors import ConfigError
from trainables.results.metrics import macro
from trainables.results.record import TaskResult, TrialRecord, pooled_result
from trainables.results.status import TrialStatus

TUNED = ", tuned"
"""Follows the label of a row whose settings were found by a search."""


class PlannedTrial(Protocol):
    """A trial of the plan, run or not."""

    @property
    def key(self) -> str: ...

    @property
    def config(self) -> TrialConfig: ...


@dataclass(frozen=True)
class Stat:
    """A number over seeds.

    Attributes:
        mean: arithmetic mean.
        std: sample standard deviation (``ddof=1``); None for one seed.
        n: number of seeds.
        by_seed: seed -> value.
    """

    mean: float
    std: float | None
    n: int
    by_seed: dict[int, float]

    @classmethod
    def of(cls, by_seed: Mapping[int, float]) -> "Stat | None":
        """Summarise one value per seed; None without seeds."""
        values = list(by_seed.values())
        if not values:
            return None
        std = stdev(values) if len(values) > 1 else None
        return cls(fmean(values), std, len(values), dict(by_seed))

    def minus(self, other: "Stat") -> "Stat | None":
        """Summarise the differences of the seeds that both have, paired by seed."""
        return Stat.of(
            {s: v - other.by_seed[s] for s, v in self.by_seed.items() if s in other.by_seed}
        )


@dataclass(frozen=True)
class SeedRun:
    """One seed of a row: its planned trials, and the records of those that have ended."""

    seed: int
    trials: tuple[PlannedTrial, ...]
    records: tuple[TrialRecord, ...]
    results: dict[str, TaskResult]
    """task -> result on the table's split, of finished trials only."""
    mismatched: dict[str, TaskResult] = field(default_factory=dict)
    """The same on a second validation split, of the tasks that have one."""

    @cached_property
    def scores(self) -> dict[str, dict[str, float | None]]:
        """Task -> every metric of its result (see ``TaskResult.scores``)."""
        return {task: result.scores() for task, result in self.results.items()}

    @property
    def parameters(self) -> int | None:
        """Number to be stored for the seed's models together; None until all are known.

        Frozen parameters are stored once: with adapters, the models share an encoder (unless they
        started from the weights of different trials).
        """
        counted = [record for record in self.records if record.parameters is not None]
        if not counted or len(counted) != len(self.trials):
            return None
        trained, frozen = 0, dict[str | None, int]()
        for record in counted:
            whole = record.parameters or 0
            own = record.trained_parameters or whole
            start = record.config.start_from
            trained += own
            frozen[start] = max(frozen.get(start, 0), whole - own)
        return trained + sum(frozen.values())


@dataclass(frozen=True)
class TableRow:
    """All seeds of one arm and model, at the preset's settings or tuned.

    Attributes:
        arm, strategy, model: names.
        label: of the row; ends in ``TUNED`` if it is tuned.
        tasks: every task of the table -> its headline metric.
        asked: the tasks that the arm is trained on: all tasks of the table, or fewer.
        runs: its seeds.
        tuned: whether a search found its settings.
        labels: every task -> its label names in their order; None where they are not known.
    """

    arm: str
    label: str
    strategy: str
    model: str
    tasks: Mapping[str, str]
    asked: frozenset[str]
    runs: tuple[SeedRun, ...]
    labels: Mapping[str, Sequence[str] | None]
    tuned: bool = False

    @property
    def name(self) -> str:
        """The label without ``TUNED``."""
        return self.label.removesuffix(TUNED) if self.tuned else self.label

    @property
    def complete(self) -> tuple[SeedRun, ...]:
        """The seeds that have a result for every task that they are trained on."""
        return tuple(run for run in self.runs if self.asked <= run.results.keys())

    @property
    def models(self) -> int:
        """How many models to deploy: one per task for ``single_task``, else one."""
        return max((len(run.trials) for run in self.runs), default=0)

    @property
    def parameters(self) -> int | None:
        """Of all the models to deploy."""
        return next((run.parameters for run in self.runs if run.parameters is not None), None)

    def task(self, task: str, metric: str) -> Stat | None:
        """A metric of one task, over the seeds that have the task; None where it is undefined."""
        if (task, metric) not in self._by_task:
            scores = {r.seed: r.scores[task][metric] for r in self.runs if task in r.results}
            self._by_task[task, metric] = _stat(scores)
        return self._by_task[task, metric]

    @cached_property
    def _by_task(self) -> dict[tuple[str, str], Stat | None]:
        return {}

    def mismatched(self, task: str) -> Stat | None:
        """The headline metric of one task on its second validation split, if it has one."""
        metric = self.tasks[task]
        scored = {r.seed: r.mismatched[task] for r in self.runs if task in r.mismatched}
        return _stat({seed: result.score(metric) for seed, result in scored.items()})

    def headline(self, task: str) -> Stat | None:
        """The headline metric of one task."""
        return self.task(task, self.tasks[task])

    def macro(self) -> Stat | None:
        """Unweighted mean of the tasks' headline metrics, over complete seeds.

        Headlines that the split's labels leave undefined are left out.
        None for an arm that is not trained on all tasks: its mean would be of something else.
        """
        return self._macro

    @cached_property
    def _macro(self) -> Stat | None:
        return self._over_all(lambda run: macro([run.scores[t][m] for t, m in self.tasks.items()]))

    def pooled(self, metric: str) -> Stat | None:
        """A metric over all classified examples together; None where ``macro`` is.

        F1 is None if the tasks have different numbers of classes.
        """
        return self._over_all(lambda run: self._pooled[run.seed].get(metric))

    @cached_property
    def _pooled(self) -> dict[int, Mapping[str, float | None]]:
        return {
            run.seed: pooled_result({task: run.results[task] for task in self.tasks}, self.labels)
            for run in self.complete
        }

    def leak(self) -> Stat | None:
        """Share of all predictions that fall into another task's class (union label space)."""
        return self._over_complete(lambda run: _leak(run.results.values()))

    def train_seconds(self) -> Stat | None:
        """Training time of a seed's trials together, evaluation left out."""
        return self._over_records(lambda record: record.train_seconds)

    def examples(self) -> Stat | None:
        """Training examples that a seed's trials saw together."""
        return self._over_records(lambda record: record.examples)

    def steps(self) -> Stat | None:
        """Optimiser steps of a seed's trials together."""
        return self._over_records(lambda record: record.steps)

    def device_seconds(self) -> Stat | None:
        """Training time of a seed's trials together, times the CPU threads of each, or one GPU."""
        return self._over_records(lambda record: record.device_seconds)

    def _over_records(self, measure: Callable[[TrialRecord], float]) -> Stat | None:
        """The sum over a seed's trials, over complete seeds; None without records."""
        return self._over_complete(
            lambda run: sum(map(measure, run.records)) if run.records else None
        )

    def _over_all(self, measure: Callable[[SeedRun], float | None]) -> Stat | None:
        return self._over_complete(measure) if self.asked == self.tasks.keys() else None

    def _over_complete(self, measure: Callable[[SeedRun], float | None]) -> Stat | None:
        return _stat({run.seed: measure(run) for run in self.complete})


def _stat(values: Mapping[int, float | None]) -> Stat | None:
    """A value per seed over seeds, those left out that have none."""
    return Stat.of({seed: value for seed, value in values.items() if value is not None})


def examples(result: TaskResult) -> int:
    """How many examples a result counts."""
    return sum(map(sum, result.confusion))


def _leak(results: Iterable[TaskResult]) -> float | None:
    leaks = [(result.leak, examples(result)) for result in results if result.leak is not None]
    total = sum(n for _, n in leaks)
    return sum(leak * n for leak, n in leaks) / total if total else None


def table_rows(
    plan: Sequence[PlannedTrial], records: Mapping[str, TrialRecord], split: str
) -> tuple[TableRow, ...]:
    """Group the plan's trials into rows, in the plan's order; other records are ignored.

    Raises:
        ConfigError: two trials are of the same row, seed and task, so a mean would mix them.
    """
    tasks = {name: task.headline for trial in plan for name, task in trial.config.tasks.items()}
    labels = {name: task.labels for trial in plan for name, task in trial.config.tasks.items()}
    labels |= {
        name: names
        for trial in plan
        if trial.key in records
        for name, names in records[trial.key].labels.items()
    }
    by_row: dict[tuple[str, bool, str], dict[int, list[PlannedTrial]]] = {}
    for trial in plan:
        config = trial.config
        seeds = by_row.setdefault((config.arm_name, config.tuned, config.model_name), {})
        seeds.setdefault(config.seed, []).append(trial)
    return tuple(
        _row(tasks, labels, {s: _seed_run(s, t, records, split) for s, t in seeds.items()})
        for seeds in by_row.values()
    )


def _row(
    tasks: Mapping[str, str],
    labels: Mapping[str, Sequence[str] | None],
    runs: Mapping[int, SeedRun],
) -> TableRow:
    config = next(iter(runs.values())).trials[0].config
    return TableRow(
        arm=config.arm_name,
        label=(config.arm.label or config.arm_name) + (TUNED if config.tuned else ""),
        strategy=config.arm.strategy,
        model=config.model_name,
        tasks=tasks,
        asked=frozenset(t for run in runs.values() for x in run.trials for t in x.config.tasks),
        runs=tuple(runs[seed] for seed in sorted(runs)),
        labels=labels,
        tuned=config.tuned,
    )


def _seed_run(
    seed: int, trials: list[PlannedTrial], records: Mapping[str, TrialRecord], split: str
) -> SeedRun:
    filled: dict[str, PlannedTrial] = {}
    for trial in trials:
        for task in trial.config.tasks:
            other = filled.setdefault(task, trial)
            if other is not trial:
                raise ConfigError(
                    f"trials {other.key} and {trial.key} fill the same place of the table "
                    f"({trial.config.title}, task {task}): compare them in separate run directories"
                )
    ended = tuple(records[trial.key] for trial in trials if trial.key in records)
    finished = [record for record in ended if record.status is TrialStatus.FINISHED]
    results, mismatched = (
        {t: r for record in finished for t, r in record.results.get(name, {}).items()}
        for name in (split, "mismatched")
    )
    return SeedRun(seed, tuple(trials), ended, results, mismatched)
