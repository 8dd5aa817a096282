"""Cosines between the tasks' gradients over training: one curve for each pair, and their mean."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from statistics import fmean

from orchestrator.report.curves import Curve
from orchestrator.report.rows import Stat, TableRow
from orchestrator.text import plain

METRIC = "cosine"
MEAN = "mean of all pairs"


def cosine_curves(rows: Sequence[TableRow]) -> tuple[Curve, ...]:
    """A curve for each pair of tasks, and their mean where there are several pairs.

    A point is an optimiser step and the cosine over the seeds that measured it then.

    Args:
        rows: of the table; those that measured nothing have no curve.
    """
    return tuple(curve for row in rows for curve in _curves(row))


def _curves(row: TableRow) -> Iterator[Curve]:
    by_pair: dict[str, dict[int, dict[int, float]]] = {}
    for run in row.runs:
        for record in run.records:
            pairs = [f"{first}, {second}" for first, second in combinations(record.config.tasks, 2)]
            for measured in (m for epoch in record.history for m in epoch.gradient_cosines):
                found = {
                    pair: value
                    for pair, value in zip(pairs, measured.values, strict=True)
                    if value is not None
                }
                if len(pairs) > 1 and len(found) == len(pairs):
                    found[MEAN] = fmean(found.values())
                for pair, value in found.items():
                    by_pair.setdefault(pair, {}).setdefault(measured.step, {})[run.seed] = value
    # The mean last, over the lines of the pairs.
    for pair in sorted(by_pair, key=lambda pair: pair == MEAN):
        stats = ((float(step), Stat.of(seeds)) for step, seeds in sorted(by_pair[pair].items()))
        points = tuple((step, stat) for step, stat in stats if stat is not None)
        yield Curve(plain(row.label), METRIC, plain(row.model), plain(pair), points)
