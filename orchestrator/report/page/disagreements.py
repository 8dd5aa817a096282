"""The examples on which arms disagree most."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.report.comparisons import Predicted
from orchestrator.report.page.confusions import OTHER
from orchestrator.report.rows import TableRow
from orchestrator.text import plain
from trainables.results.predictions import Predictions

MOST_EXAMPLES = 30
"""Of one model and task."""
MOST_LISTS = 20
"""Models and tasks on a page."""


@dataclass(frozen=True)
class Opinion:
    """What the runs of one arm say of an example.

    Attributes:
        label: of the row.
        right: how many of its runs are right; None of a regression.
        seeds: number of runs.
        answer: what most of them predict, of a regression their mean.
    """

    label: str
    right: int | None
    seeds: int
    answer: str


@dataclass(frozen=True)
class Example:
    """One validation example.

    Attributes:
        row: its number in the split, counted from 0 as in ``predictions/``.
        label: its true class or target.
        opinions: of every arm.
    """

    row: int
    label: str
    opinions: tuple[Opinion, ...]


@dataclass(frozen=True)
class Disagreement:
    """The examples of one task on which the arms of one model disagree most.

    Attributes:
        model, task: names.
        source: the task's name as the plan has it.
        size: number of examples of the split.
        differing: on how many of them arms disagree at all.
        examples: the most disputed first; of equal ones the first in the split.
    """

    model: str
    task: str
    source: str
    size: int
    differing: int
    examples: tuple[Example, ...]


def disagreements(rows: Sequence[TableRow], predictions: Predicted) -> list[Disagreement]:
    """Of every model and task on which two arms have predictions, and disagree somewhere.

    Arms disagree on an example by the difference of the shares of their runs that are right, the
    largest minus the smallest; of a regression by that of their mean predictions. Runs that were
    scored on other examples are left out.
    """
    tasks = rows[0].tasks if rows else ()
    models = dict.fromkeys(row.model for row in rows)
    made = (
        _disagreement(model, task, [row for row in rows if row.model == model], predictions)
        for task in tasks
        for model in models
    )
    return [one for one in made if one is not None and one.examples]


def _disagreement(
    model: str, task: str, rows: Sequence[TableRow], predictions: Predicted
) -> Disagreement | None:
    by_row = [(row, _of_row(row, task, predictions)) for row in rows]
    by_row = [(row, parts) for row, parts in by_row if parts]
    if not by_row:
        return None
    labels = by_row[0][1][0].labels
    stacked = [
        (row, np.array([part.predictions for part in parts if np.array_equal(part.labels, labels)]))
        for row, parts in by_row
    ]
    stacked = [(row, values) for row, values in stacked if len(values)]
    if len(stacked) < 2:
        return None
    regression = labels.dtype.kind == "f"
    scores = np.array(
        [(values if regression else values == labels).mean(axis=0) for _, values in stacked]
    )
    spread = scores.max(axis=0) - scores.min(axis=0)
    order = np.argsort(-spread, kind="stable")[:MOST_EXAMPLES]
    names = rows[0].labels.get(task) or ()
    return Disagreement(
        model=plain(model),
        task=plain(task),
        source=task,
        size=len(labels),
        differing=int((spread > 0).sum()),
        examples=tuple(
            Example(
                row=int(i),
                label=_answer(float(labels[i]), names, regression),
                opinions=tuple(
                    _opinion(row, values[:, i], float(labels[i]), names, regression)
                    for row, values in stacked
                ),
            )
            for i in order
            if spread[i] > 0
        ),
    )


def _of_row(row: TableRow, task: str, predictions: Predicted) -> list[Predictions]:
    """The predictions of a row's runs for one task."""
    parts = (
        predictions.get(trial.key, {}).get(task)
        for run in row.runs
        for trial in run.trials
        if task in trial.config.tasks
    )
    return [part for part in parts if part is not None]


def _opinion(
    row: TableRow, answers: np.ndarray, label: float, names: Sequence[str], regression: bool
) -> Opinion:
    if regression:
        said = float(answers.mean())
        return Opinion(plain(row.label), None, len(answers), _answer(said, names, regression))
    [(most, _)] = Counter(answers.tolist()).most_common(1)
    right = int((answers == label).sum())
    return Opinion(plain(row.label), right, len(answers), _answer(most, names, regression))


def _answer(value: float, names: Sequence[str], regression: bool) -> str:
    if regression:
        return f"{value:.4g}"
    index = int(value)
    if index < len(names):
        return plain(names[index])
    return OTHER if names else f"class {index}"
