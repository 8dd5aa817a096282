"""Delta-m: its value by the definition, and its variance by hand and by simulation."""

import numpy as np
import pytest

from orchestrator.analysis.intervals import difference
from orchestrator.analysis.pseudo_values import Runs, of_classes
from orchestrator.analysis.relative import relative_difference
from tests.orchestrator.analysis.samples import T1, T2, runs

T1_MATTHEWS, T2_ACCURACY = runs("matthews", T1), runs("accuracy", T2)


def test_the_value_is_the_mean_of_the_tasks_relative_changes() -> None:
    made = relative_difference([T1_MATTHEWS, T2_ACCURACY])
    shares = [a.scores.mean() / b.scores.mean() - 1 for a, b in (T1_MATTHEWS, T2_ACCURACY)]
    assert made is not None
    assert made.value == pytest.approx(sum(shares) / 2)


def test_the_variance_is_that_of_a_ratio_about_its_means() -> None:
    made, plain = relative_difference([T1_MATTHEWS]), difference(*T1_MATTHEWS)
    assert made is not None
    top, below = (arm.scores.mean() for arm in T1_MATTHEWS)
    assert plain.lasting_variance == 0
    assert made.seed_variance_a == pytest.approx(plain.seed_variance_a / below**2)
    assert made.seed_variance_b == pytest.approx(plain.seed_variance_b * top**2 / below**4)


def test_an_arm_against_itself_has_no_change() -> None:
    arm = T2_ACCURACY[0]
    made = relative_difference([(arm, arm)])
    assert made is not None
    assert made.value == 0
    # Of arms that agree everywhere, the rule of three as a share of the score.
    single = arm.only([0])
    made = relative_difference([(single, single)])
    assert made is not None
    assert made.half_width() == pytest.approx(3 / 16 / single.scores[0])


@pytest.mark.parametrize("scores", [[0.0, 0.0], [-0.2, 0.1], [0.1, -0.1]])
def test_nothing_is_a_share_of_a_score_that_is_not_positive(scores: list[float]) -> None:
    a = T2_ACCURACY[0].only([0, 1])
    b = Runs(np.array(scores), a.pseudo_values, a.predictions)
    assert relative_difference([(a, b)]) is None
    assert relative_difference([T2_ACCURACY, (a, b)]) is None


def test_the_interval_covers() -> None:
    """Arms whose runs are right on .72 and .8 of the examples, each independently."""
    rng = np.random.default_rng(0)
    labels = np.zeros(300, int)
    hits = 0
    for _ in range(300):
        a, b = (
            of_classes("accuracy", labels, (rng.random((3, 300)) > p).astype(int), 2)
            for p in (0.72, 0.8)
        )
        made = relative_difference([(a, b)])
        assert made is not None
        hits += abs(made.value + 0.1) < made.half_width()
    assert hits / 300 > 0.93
