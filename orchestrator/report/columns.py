"""The columns of the comparison table and where each comes from.

To add a column, add a line to ``columns``; every format shows it.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from orchestrator.report.rows import Stat, TableRow
from orchestrator.text import METRIC_NAMES
from trainables.config.metrics import CLASSIFICATION, REGRESSION


@dataclass(frozen=True)
class Column:
    """A column of measured numbers.

    Attributes:
        key: name in CSV and JSON, for example ``cola.matthews``.
        title: the two lines of its head: of what, and which metric in which unit.
        unit: ``percent`` (of a fraction), ``fraction``, ``seconds`` or ``count``.
        compact: whether the compact form of the table shows it.
        task: the task that it measures on the table's split; None for all of them, and on another
            split.
    """

    key: str
    title: tuple[str, str]
    unit: str
    compact: bool
    task: str | None = None


Measure = Callable[[TableRow], Stat | None]


def columns(
    tasks: Mapping[str, str], mismatched: Collection[str] = ()
) -> tuple[tuple[Column, Measure], ...]:
    """All columns, in order, each with the function that measures it.

    Args:
        tasks: task -> its headline metric, which comes first among its metrics.
        mismatched: the tasks that were measured on a second validation split.
    """
    return (
        *(
            column
            for task, headline in tasks.items()
            for column in (
                *(
                    _task_column(task, metric, metric == headline)
                    for metric in sorted(metrics_beside(headline), key=lambda m: m != headline)
                ),
                *([_mismatched_column(task, headline)] if task in mismatched else []),
            )
        ),
        (Column("macro", ("macro", "%"), "percent", True), TableRow.macro),
        *(_POOLED if any(metric in CLASSIFICATION for metric in tasks.values()) else ()),
        (Column("leak", ("leak", "%"), "percent", True), TableRow.leak),
        (
            Column("train_seconds", ("train", "time"), "seconds", True),
            TableRow.train_seconds,
        ),
        *_TERMS,
    )


_POOLED: tuple[tuple[Column, Measure], ...] = (
    (
        Column("pooled.accuracy", ("pooled", "acc %"), "percent", True),
        lambda group: group.pooled("accuracy"),
    ),
    (
        Column("pooled.f1", ("pooled", "F1 %"), "percent", True),
        lambda group: group.pooled("f1"),
    ),
)
"""Of the tasks that classify."""

_TERMS: tuple[tuple[Column, Measure], ...] = (
    (
        Column("examples", ("examples", "seen"), "count", False),
        TableRow.examples,
    ),
    (
        Column("steps", ("optimiser", "steps"), "count", False),
        TableRow.steps,
    ),
    (
        Column("device_seconds", ("device", "time"), "seconds", False),
        TableRow.device_seconds,
    ),
)
TERMS = tuple(column.key for column, _ in _TERMS)
"""Keys of the columns that stand in the view of equal terms, not among the metrics."""


def metrics_beside(metric: str) -> tuple[str, ...]:
    """All metrics of the tasks that have this one."""
    return REGRESSION if metric in REGRESSION else CLASSIFICATION


def metric_unit(metric: str) -> str:
    """Correlations and cosines are written as fractions, every other metric in percent."""
    return "fraction" if metric in ("matthews", "cosine", *REGRESSION) else "percent"


def metric_title(metric: str) -> str:
    """A metric's short name with its unit: ``acc %``, ``F1 %``, ``MCC``."""
    return METRIC_NAMES[metric] + (" %" if metric_unit(metric) == "percent" else "")


def _task_column(task: str, metric: str, headline: bool) -> tuple[Column, Measure]:
    title = (task, metric_title(metric))
    column = Column(f"{task}.{metric}", title, metric_unit(metric), headline, task=task)
    return column, lambda group: group.task(task, metric)


def _mismatched_column(task: str, headline: str) -> tuple[Column, Measure]:
    title = (f"{task} mismatched", metric_title(headline))
    column = Column(f"{task}.mismatched", title, metric_unit(headline), True)
    return column, lambda group: group.mismatched(task)
