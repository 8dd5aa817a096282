"""Which trial of a group is chosen, on trials small enough to see it."""

import math
from collections.abc import Sequence

import pytest

from orchestrator.search.best_trial import ranking
from orchestrator.search.summary import TrialSummary
from tests.helpers.searches import tried

RUNGS = (1000, 3000)


@pytest.mark.parametrize(
    ("trials", "losses", "expected"),
    [
        ([], {}, None),
        ([tried(0, 0.5), tried(1, 0.6), tried(2, 0.55)], {}, 1),
        ([tried(0, 0.5), tried(1, 0.9, "stopped", 5000)], {}, 0),
        ([tried(0, 0.5), tried(1, 0.9, "diverged"), tried(2, 0.9, "failed")], {}, 0),
        ([tried(0, math.nan), tried(1, math.inf), tried(2, 0.1)], {}, 2),
        ([tried(0, None, "failed", 0), tried(1, None, "diverged", 0)], {}, None),
        # Of equals the lowest loss, then the first.
        ([tried(0, 0.5), tried(1, 0.5), tried(2, 0.5)], {0: 0.7, 1: 0.6, 2: 0.6}, 1),
        ([tried(0, 0.5), tried(1, 0.5)], {}, 0),
        # None has finished: those that came furthest.
        (
            [
                tried(0, 0.9, "stopped", 1000),
                tried(1, 0.5, "unfinished", 3000),
                tried(2, 0.6, "stopped", 3000),
            ],
            {},
            2,
        ),
        # They were measured at the same rung, which the larger batch stepped over.
        ([tried(0, 0.6, "stopped", 3000), tried(1, 0.5, "unfinished", 3008)], {}, 0),
        ([tried(0, 0.0), tried(1, -0.5)], {}, 0),
    ],
)
def test_known_choices(
    trials: Sequence[TrialSummary], losses: dict[int, float], expected: int | None
) -> None:
    assert next(iter(ranking(trials, losses, RUNGS)), None) == expected
    assert ranking(list(reversed(trials)), losses, RUNGS) == ranking(trials, losses, RUNGS)
