"""The relative change of several tasks' metrics, with an interval: delta-m.

Maninis, Radosavovic and Kokkinos, "Attentive Single-Tasking of Multiple Tasks" (2019): the mean
over tasks of ``(A - B) / B``, with A and B the means over seeds of a metric that is better the
higher it is. It weighs a task by what is left of its metric, so that a weak task counts more.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from orchestrator.analysis.intervals import Difference, mean_difference
from orchestrator.analysis.pseudo_values import Runs


def relative_difference(
    tasks: Sequence[tuple[Runs, Runs]],
    groups: Sequence[ArrayLike | None] | None = None,
    *,
    pair_seeds: bool = False,
) -> Difference | None:
    """Compare two arms by delta-m, as fractions of B's scores.

    The ratios are taken for linear about the means (the delta method), which makes of them a mean
    of differences, whose variance ``mean_difference`` gives. It is good while the noise of B's mean
    is small beside the mean itself.

    Args:
        tasks: the runs of A and of B on each task.
        groups, pair_seeds: see ``mean_difference``.

    Returns:
        The difference; None where B's mean score on a task is 0 or below, of which nothing is a
        share.

    Raises:
        ValueError: see ``mean_difference``.
    """
    scores = np.array([[a.scores.mean(), b.scores.mean()] for a, b in tasks])
    if scores[:, 1].min() <= 0:
        return None
    ratios = scores[:, 0] / scores[:, 1]
    weighted = [
        (_times(a, 1 / base), _times(b, ratio / base))
        for (a, b), base, ratio in zip(tasks, scores[:, 1], ratios, strict=True)
    ]
    made = mean_difference(weighted, groups, pair_seeds=pair_seeds)
    return replace(
        made,
        value=float(ratios.mean() - 1),
        rule_of_three=made.rule_of_three / float(scores[:, 1].min()),
    )


def _times(runs: Runs, weight: float) -> Runs:
    return Runs(weight * runs.scores, weight * runs.pseudo_values, runs.predictions)
