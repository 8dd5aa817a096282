"""The interval of one trained model's score for new examples."""

from typing import Any

import numpy as np
import pytest

from orchestrator.report.comparisons import half_width
from trainables.results.metrics import counts, moments, ranks, trimmed
from trainables.results.predictions import Predictions
from trainables.results.record import Moments, TaskResult

LABELS = np.array([0, 1] * 20, dtype=np.uint8)
PREDICTED = np.where(np.arange(40) % 8 < 2, 1 - LABELS, LABELS).astype(np.uint8)
"""Wrong in pairs: 10 of 40."""


def classified() -> TaskResult:
    confusion: Any = trimmed(counts(LABELS, PREDICTED, 2)).tolist()
    return TaskResult(confusion=confusion)


def test_that_of_accuracy_is_the_normal_interval_of_a_share() -> None:
    found = half_width(classified(), "accuracy", Predictions(LABELS, PREDICTED))
    assert found == pytest.approx(1.959964 * (0.75 * 0.25 / 39) ** 0.5, rel=1e-5)


def test_groups_are_the_draws_where_examples_are_grouped() -> None:
    groups = np.arange(40) // 2
    found = half_width(classified(), "accuracy", Predictions(LABELS, PREDICTED, groups))
    # Both examples of a group are right, or both are wrong.
    assert found == pytest.approx(1.959964 * (0.75 * 0.25 / 19) ** 0.5, rel=1e-5)
    one = Predictions(LABELS, PREDICTED, np.zeros(40, np.int64))
    assert half_width(classified(), "accuracy", one) < found


@pytest.mark.parametrize("metric", ["f1", "matthews"])
def test_other_metrics_have_one_too(metric: str) -> None:
    assert 0.05 < half_width(classified(), metric, Predictions(LABELS, PREDICTED)) < 0.35


@pytest.mark.parametrize("metric", ["pearson", "spearman"])
def test_correlations_have_one_too(metric: str) -> None:
    targets = np.linspace(0.0, 5.0, 40)
    predicted = targets + np.sin(np.arange(40) * 7)
    result = TaskResult(
        numbers=Moments.of(moments(targets, predicted)),
        ranks=Moments.of(moments(ranks(targets), ranks(predicted))),
    )
    assert 0.01 < half_width(result, metric, Predictions(targets, predicted)) < 0.2
    constant = np.full(40, 2.0)
    flat = TaskResult(
        numbers=Moments.of(moments(targets, constant)),
        ranks=Moments.of(moments(ranks(targets), ranks(constant))),
    )
    assert half_width(flat, metric, Predictions(targets, constant)) >= 0
