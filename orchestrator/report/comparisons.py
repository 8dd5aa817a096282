"""Every multi-task arm against ``single_task``, with an interval and a word for each difference.

The comparisons are fixed by the plan: per model every multi-task arm against ``single_task``, and
``shared_encoder`` against ``naive_concat``. Those on the macro average are the primary ones and
share the chance of an error; those on single tasks share another. See ``orchestrator.analysis``.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from orchestrator.analysis.advice import Advice, advice
from orchestrator.analysis.intervals import Difference, difference, mean_difference
from orchestrator.analysis.looks import LEVEL
from orchestrator.analysis.pseudo_values import Runs, of_classes, of_numbers
from orchestrator.analysis.relative import relative_difference
from orchestrator.analysis.verdicts import Comparison, Verdict, Word, verdicts
from orchestrator.config.experiment import PAIRED_SEEDS
from orchestrator.report.rows import SeedRun, TableRow
from orchestrator.report.verdict import REFERENCE, reference_of
from trainables.config.metrics import REGRESSION, default_f1
from trainables.results.predictions import Predictions
from trainables.results.record import MACRO, TaskResult

Predicted = Mapping[str, Mapping[str, Predictions]]
"""Trial key -> task -> predictions on the table's split."""

Pair = tuple[TableRow, TableRow]
"""Arm A and arm B."""

MACRO_MARGIN = 0.02
MANY_EXAMPLES = 800
COLLAPSED = 0.99
"""A run collapsed if it predicts one class for so many of the examples."""


def default_margin(metric: str, examples: int) -> float:
    """The difference of a headline metric that is of no consequence, as a fraction."""
    if metric in ("accuracy", "f1"):
        return 0.02 if examples >= MANY_EXAMPLES else 0.03
    return 0.05


@dataclass(frozen=True)
class Compared:
    """One arm against another on one task or on the macro average.

    Attributes:
        model: of both rows.
        row, reference: arm A and arm B.
        scope: the task, or ``macro`` for the mean over several.
        primary: whether it is one of those on which the answer rests.
        verdict: the answer.
        collapsed_on: the tasks on which runs predict one class.
        advice: what would settle it, if it is undecided and has two or more seeds.
        sizes: task -> number of its examples, and of their groups where they are grouped.
        paired_seeds: whether seeds are differenced, see ``orchestrator.analysis``.
        relative: delta-m, the relative change; None where it is undefined, and if not primary.
    """

    model: str
    row: TableRow
    reference: TableRow
    scope: str
    primary: bool
    verdict: Verdict
    collapsed_on: tuple[str, ...]
    advice: Advice | None
    sizes: Mapping[str, tuple[int, int | None]]
    paired_seeds: bool
    relative: Difference | None


def compared(
    rows: Sequence[TableRow],
    undefined: Collection[str],
    predictions: Predicted,
    margins: Mapping[str, float],
    level: float = LEVEL,
    next_level: float = LEVEL,
    *,
    pair_seeds: bool = False,
) -> tuple[Compared, ...]:
    """Compare the arms of every model, the primary comparisons first.

    Rows that are not trained on all tasks are left out, and so are seeds without predictions, and
    pairs that were not scored on the same examples.

    Args:
        rows: of the table.
        undefined: the tasks whose headline metric the split's labels leave undefined.
        predictions: of the finished trials.
        margins: task or ``macro`` -> margin, a fraction; what is left out has its default.
        level: chance of an error of the words.
        next_level: the same of words after more seeds, about which advice is given.
        pair_seeds: difference seeds where both rows have the same ones, five or more.
    """
    if not predictions:
        return ()
    tasks = [task for task in rows[0].tasks if task not in undefined]
    levels = (level, next_level)
    made = []
    for planned in _families(rows):
        # A row stands in several pairs, and is scored once.
        sides = {id(row): _Side.of(row, predictions) for pair in planned for row in pair}
        pairs = [_Pair(sides[id(a)], sides[id(b)], pair_seeds) for a, b in planned]
        if tasks:
            made += _family(pairs, [tasks], margins, levels, primary=True)
        if len(tasks) > 1:
            made += _family(pairs, [[task] for task in tasks], margins, levels, primary=False)
    return tuple(made)


def planned_pairs(rows: Sequence[TableRow]) -> list[Pair]:
    """The comparisons of every model that the plan fixes, tuned and untuned arms apart."""
    return [pair for family in _families(rows) for pair in family]


def _families(rows: Sequence[TableRow]) -> list[list[Pair]]:
    models = dict.fromkeys((row.model, row.tuned) for row in rows)
    return [_pairs([row for row in rows if row.model == model], tuned) for model, tuned in models]


def _pairs(rows: Sequence[TableRow], tuned: bool) -> list[Pair]:
    """The comparisons that the plan fixes, of one model's rows."""
    whole = [row for row in rows if row.asked == row.tasks.keys()]
    reference = reference_of(whole, rows[0].model, tuned)
    arms = [row for row in whole if row.tuned == tuned and row.strategy != REFERENCE]
    pairs = [] if reference is None else [(row, reference) for row in arms]
    shared, naive = (_main(arms, strategy) for strategy in ("shared_encoder", "naive_concat"))
    return [*pairs, *([(shared, naive)] if shared and naive else [])]


def _main(rows: Sequence[TableRow], strategy: str) -> TableRow | None:
    """The arm that stands for a strategy: the one of its name, else the first of the plan."""
    own = [row for row in rows if row.strategy == strategy]
    return min(own, key=lambda row: row.arm != strategy, default=None)


@dataclass(frozen=True)
class _Side:
    """One row of a comparison.

    Attributes:
        row: the row.
        seeds: those of its runs that have results and predictions of all tasks.
        predictions: task -> what each of these runs predicts.
    """

    row: TableRow
    seeds: tuple[SeedRun, ...]
    predictions: dict[str, list[Predictions]]
    _runs: dict[str, Runs] = field(default_factory=dict)

    @classmethod
    def of(cls, row: TableRow, predictions: Predicted) -> "_Side":
        predicted = {}
        for run in row.complete:
            keys = {task: trial.key for trial in run.trials for task in trial.config.tasks}
            of_run = {task: predictions.get(keys[task], {}).get(task) for task in row.tasks}
            if all(part is not None for part in of_run.values()):
                predicted[run.seed] = (run, of_run)
        return cls(
            row,
            tuple(run for run, _ in predicted.values()),
            {task: [part[task] for _, part in predicted.values()] for task in row.tasks},
        )

    def runs(self, task: str) -> Runs:
        """The runs on one task."""
        if task not in self._runs:
            self._runs[task] = self._scored(task)
        return self._runs[task]

    def _scored(self, task: str) -> Runs:
        results = [run.results[task] for run in self.seeds]
        return _scored(results, self.row.tasks[task], self.predictions[task])

    def collapsed(self, tasks: Sequence[str]) -> np.ndarray:
        """Whether each run predicts one class on one of the tasks, ``(seeds,)``."""
        return np.any([self._collapsed_on[task] for task in tasks], axis=0)

    @cached_property
    def _collapsed_on(self) -> dict[str, np.ndarray]:
        return {
            task: np.array([_collapsed(run.results[task]) for run in self.seeds], dtype=bool)
            for task in self.row.tasks
        }


def _scored(results: Sequence[TaskResult], metric: Any, predictions: Sequence[Predictions]) -> Runs:
    """Runs on the same examples of one task, scored by one metric."""
    labels = predictions[0].labels
    values = np.array([own.predictions for own in predictions])
    if metric in REGRESSION:
        constant = [result.constant for result in results]
        return of_numbers(metric, labels, np.where(np.array(constant)[:, None], 0.0, values))
    classes, positive = len(results[0].confusion), results[0].positive
    return of_classes(
        metric, labels, values, classes, default_f1(classes) if positive is None else positive
    )


def half_width(result: TaskResult, metric: str, predictions: Predictions) -> float:
    """Half the width of a metric's interval at 95 % for new examples, of one trained model.

    Args:
        result: of one task.
        metric: the metric.
        predictions: that gave the result, two or more.

    Returns:
        A fraction; 0 where no example makes a difference.
    """
    runs = _scored([result], metric, [predictions])
    nothing = Runs(0 * runs.scores, 0 * runs.pseudo_values, runs.predictions)
    groups = predictions.groups
    if groups is not None and len(np.unique(groups)) < 2:
        groups = None
    return difference(runs, nothing, groups).examples_only_half_width()


def _collapsed(result: TaskResult) -> bool:
    """Whether nearly all predictions are one class, and clearly more than its share of labels."""
    if result.numbers is not None:
        return result.constant
    sizes = [sum(row) for row in result.confusion]
    predicted = [sum(column) for column in zip(*result.confusion, strict=True)]
    most = predicted.index(max(predicted))
    part = predicted[most] / sum(sizes)
    share = sizes[most] / sum(sizes) if most < len(sizes) else 0.0
    return part >= COLLAPSED and part > share + (1 - COLLAPSED) / 2


@dataclass(frozen=True)
class _Pair:
    """Two rows that are compared, and whether their seeds are to be paired."""

    a: _Side
    b: _Side
    pair_seeds: bool

    def comparable(self, tasks: Sequence[str]) -> bool:
        """Whether all runs of both rows were scored on the same examples, as a plan has them."""
        return bool(self.a.seeds and self.b.seeds) and all(
            own.labels is labels or np.array_equal(own.labels, labels)
            for task in tasks
            for labels in [self.a.predictions[task][0].labels]
            for own in self._predictions(task)
        )

    def groups(self, task: str) -> np.ndarray | None:
        """The group of each example, where all runs know of the same ones."""
        groups = self.a.predictions[task][0].groups
        if groups is None or len(np.unique(groups)) < 2:
            return None
        others = [own.groups for own in self._predictions(task)]
        same = all(o is groups or (o is not None and np.array_equal(o, groups)) for o in others)
        return groups if same else None

    def _predictions(self, task: str) -> list[Predictions]:
        return [*self.a.predictions[task], *self.b.predictions[task]]

    def size(self, task: str) -> tuple[int, int | None]:
        """Number of a task's examples and of their groups."""
        groups = self.groups(task)
        examples = len(self.a.predictions[task][0].labels)
        return examples, None if groups is None else len(np.unique(groups))

    def seeds_paired(self, chosen: Sequence[np.ndarray] | None = None) -> bool:
        """Whether seeds are paired; ``chosen``: whether each run of A and of B takes part."""
        if not self.pair_seeds:
            return False
        seeds = [[run.seed for run in side.seeds] for side in (self.a, self.b)]
        if chosen is not None:
            seeds = [np.array(s)[c].tolist() for s, c in zip(seeds, chosen, strict=True)]
        return seeds[0] == seeds[1] and len(seeds[0]) >= PAIRED_SEEDS

    def difference(self, tasks: Sequence[str]) -> Difference:
        """A minus B on the mean of some tasks."""
        return mean_difference(
            self._runs(tasks), list(map(self.groups, tasks)), pair_seeds=self.seeds_paired()
        )

    def relative(self, tasks: Sequence[str]) -> Difference | None:
        """The same as shares of B's scores."""
        return relative_difference(
            self._runs(tasks), list(map(self.groups, tasks)), pair_seeds=self.seeds_paired()
        )

    def among(self, tasks: Sequence[str], chosen: Sequence[np.ndarray]) -> Difference:
        """The same of some runs: whether each of A and of B takes part."""
        first, second = chosen
        return mean_difference(
            [(a.only(first), b.only(second)) for a, b in self._runs(tasks)],
            list(map(self.groups, tasks)),
            pair_seeds=self.seeds_paired(chosen),
        )

    def _runs(self, tasks: Sequence[str]) -> list[tuple[Runs, Runs]]:
        return [(self.a.runs(task), self.b.runs(task)) for task in tasks]


def _family(
    pairs: Sequence[_Pair],
    scopes: Sequence[Sequence[str]],
    margins: Mapping[str, float],
    levels: tuple[float, float],
    primary: bool,
) -> list[Compared]:
    """Comparisons that share the chance of an error: of some pairs on some scopes."""
    level, next_level = levels
    comparable = [
        (pair, tasks, _comparison(pair, tasks, margins))
        for tasks in scopes
        for pair in pairs
        if pair.comparable(tasks)
    ]
    judged = verdicts([c for *_, c in comparable], level, planned=len(pairs) * len(scopes))
    return [
        Compared(
            model=pair.a.row.model,
            row=pair.a.row,
            reference=pair.b.row,
            scope=_scope(tasks),
            primary=primary,
            verdict=verdict,
            collapsed_on=tuple(
                t for t in tasks if any(s.collapsed([t]).any() for s in (pair.a, pair.b))
            ),
            advice=_advice(verdict, next_level),
            sizes={task: pair.size(task) for task in tasks},
            paired_seeds=pair.seeds_paired(),
            relative=pair.relative(tasks) if primary else None,
        )
        for (pair, tasks, _), verdict in zip(comparable, judged, strict=True)
    ]


def _comparison(pair: _Pair, tasks: Sequence[str], margins: Mapping[str, float]) -> Comparison:
    collapsed = [side.collapsed(tasks) for side in (pair.a, pair.b)]
    healthy = None
    if any(part.any() for part in collapsed) and not any(part.all() for part in collapsed):
        healthy = pair.among(tasks, [~part for part in collapsed])
    examples = min(pair.size(task)[0] for task in tasks)
    scope = _scope(tasks)
    default = MACRO_MARGIN if scope == MACRO else default_margin(pair.a.row.tasks[scope], examples)
    return Comparison(
        pair.difference(tasks),
        margins.get(scope, default),
        (int(collapsed[0].sum()), int(collapsed[1].sum())),
        healthy,
    )


def _scope(tasks: Sequence[str]) -> str:
    return MACRO if len(tasks) > 1 else tasks[0]


def _advice(verdict: Verdict, level: float) -> Advice | None:
    if verdict.word is not Word.UNDECIDED or verdict.one_seed:
        return None
    return advice(verdict.comparison.difference, verdict.comparison.margin, level)
