"""Confusion matrices of every arm, model and task, summed over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.report.rows import TableRow
from orchestrator.text import plain

MOST_MATRICES = 60
"""On a page."""
MOST_CLASSES = 10
"""Of a matrix; of more classes, the most frequent confusions are listed."""
OTHER = "another task's class"


@dataclass(frozen=True)
class Confusion:
    """What one arm and model predicts for one task, all seeds together.

    Attributes:
        label, model, task: names.
        seeds: number of runs.
        labels: the classes, one per row.
        predicted: the same, and perhaps ``OTHER``, one per column.
        counts: ``counts[i][j]`` examples of class i were predicted as class j; of more than
            ``MOST_CLASSES`` classes nothing.
        mistakes: true class, predicted class and number of examples of the most frequent
            confusions, the most frequent first; where there is a matrix nothing.
    """

    label: str
    model: str
    task: str
    seeds: int
    labels: tuple[str, ...]
    predicted: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    mistakes: tuple[tuple[str, str, int], ...] = ()

    def share(self, row: int, column: int) -> float:
        """Of a class's examples, those in one column, in percent."""
        return 100 * self.counts[row][column] / max(1, sum(self.counts[row]))


def confusions(rows: Sequence[TableRow]) -> list[Confusion]:
    """The matrices of all rows, task by task; a regression has none."""
    tasks = rows[0].tasks if rows else ()
    made = (_confusion(row, task) for task in tasks for row in rows)
    return [confusion for confusion in made if confusion is not None]


def _confusion(row: TableRow, task: str) -> Confusion | None:
    parts = [run.results[task].confusion for run in row.runs if task in run.results]
    parts = [part for part in parts if part]
    if not parts:
        return None
    classes = len(parts[0])
    width = max(len(part[0]) for part in parts)
    total = np.zeros((classes, width), dtype=np.int64)
    for part in parts:
        own = np.array(part)
        total[:, : own.shape[1]] += own
    known = row.labels.get(task) or ()
    names = known if len(known) == classes else [f"class {i}" for i in range(classes)]
    labels = tuple(map(plain, names))
    predicted = (*labels, *([OTHER] if width > classes else []))
    large = classes > MOST_CLASSES
    return Confusion(
        label=plain(row.label),
        model=plain(row.model),
        task=plain(task),
        seeds=len(parts),
        labels=labels,
        predicted=predicted,
        counts=() if large else tuple(map(tuple, total.tolist())),
        mistakes=_mistakes(total, labels, predicted) if large else (),
    )


def _mistakes(
    total: np.ndarray, labels: tuple[str, ...], predicted: tuple[str, ...]
) -> tuple[tuple[str, str, int], ...]:
    wrong = [(int(i), int(j)) for i, j in np.argwhere(total) if i != j]
    wrong.sort(key=lambda cell: -total[cell])
    return tuple((labels[i], predicted[j], int(total[i, j])) for i, j in wrong[:MOST_CLASSES])
