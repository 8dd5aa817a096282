"""Headline metric per epoch: one curve for each task, model and arm."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.report.rows import Stat, TableRow
from orchestrator.text import plain
from trainables.results.status import TrialStatus


@dataclass(frozen=True)
class Curve:
    """The headline metric of one task per epoch, or by the share of its data that was trained on.

    Or cosines between gradients per optimiser step: then ``task`` is the arm and ``label`` the pair
    of tasks.

    Attributes:
        task, metric, model, label: names of what the curve shows.
        points: epoch (counted from 1), share of the training data (above 0, at most 1) or
            optimiser steps, and the metric over the seeds that have a value there.
    """

    task: str
    metric: str
    model: str
    label: str
    points: tuple[tuple[float, Stat], ...]


def curves(groups: Sequence[TableRow], split: str) -> tuple[Curve, ...]:
    """Collect the curves of finished trials on ``split``, tasks first, then models, then arms."""
    if not groups:
        return ()
    models = dict.fromkeys(group.model for group in groups)
    collected = [
        _curve(group, task, split)
        for task in groups[0].tasks
        for model in models
        for group in groups
        if group.model == model
    ]
    return tuple(curve for curve in collected if curve.points)


def _curve(group: TableRow, task: str, split: str) -> Curve:
    metric = group.tasks[task]
    by_epoch: dict[int, dict[int, float]] = {}
    for run in group.runs:
        for record in run.records:
            for epoch in record.history if record.status is TrialStatus.FINISHED else ():
                result = epoch.splits.get(split, {}).get(task)
                if result is not None:
                    value = result.score(metric)
                    if value is None:
                        continue
                    by_epoch.setdefault(epoch.epoch, {})[run.seed] = value
    stats = ((epoch, Stat.of(values)) for epoch, values in sorted(by_epoch.items()))
    points = tuple((epoch, stat) for epoch, stat in stats if stat is not None)
    return Curve(plain(task), metric, plain(group.model), plain(group.label), points)
