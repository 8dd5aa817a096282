"""Pseudo-values against scores that are computed anew without each example."""

from typing import Any, Literal

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.metrics import f1_score

from orchestrator.analysis.pseudo_values import of_classes, of_numbers
from trainables.results.metrics import correlation, counts, moments, ranks, scores

CLASSES = {
    "balanced": ([0, 1, 0, 1, 1, 0, 1, 0], [[0, 1, 1, 1, 0, 0, 1, 0], [1, 1, 0, 0, 1, 0, 0, 0]]),
    "another task's class": ([0, 1, 0, 1, 1], [[0, 2, 0, 1, 2], [2, 2, 2, 2, 2]]),
    "one class predicted": ([0, 1, 0, 1, 1], [[1, 1, 1, 1, 1], [0, 0, 0, 0, 0]]),
    "one example of a class": ([1, 0, 0, 0, 0], [[1, 0, 0, 0, 1], [0, 0, 1, 0, 0]]),
    "three classes": ([0, 1, 2, 1, 2, 0, 0], [[0, 1, 2, 2, 2, 1, 0], [3, 1, 0, 1, 2, 0, 2]]),
    "a class of five that never occurs": ([0, 1, 2, 4, 0], [[0, 1, 2, 4, 0], [4, 4, 1, 0, 0]]),
}
NUMBERS = {
    "apart": ([1.0, 2.0, 3.5, 4.0, 0.5], [[1.5, 2.5, 2.0, 5.0, 0.0], [3.0, 1.0, 2.0, 0.0, 4.0]]),
    "ties": ([1.0, 1.0, 2.0, 2.0, 3.0, 3.0], [[1.0, 2.0, 2.0, 2.0, 1.0, 5.0]]),
    "one differs": ([0.1, 0.1, 0.1, 0.7], [[0.3, 0.2, 0.3, 0.9], [0.2, 0.2, 0.3, 0.2]]),
    "constant": ([1.0, 2.0, 3.0], [[4.0, 4.0, 4.0]]),
}


def pseudo(score, n: int) -> list[float]:
    """By the definition; ``score(keep)`` scores the examples of a mask."""
    everything = np.ones(n, dtype=bool)
    found = []
    for i in range(n):
        keep = everything.copy()
        keep[i] = False
        found.append(n * score(everything) - (n - 1) * score(keep))
    return found


@pytest.mark.parametrize("positive", [0, 1, "macro"])
@pytest.mark.parametrize("metric", ["accuracy", "f1", "matthews"])
@pytest.mark.parametrize("name", CLASSES)
def test_classes(name: str, metric: Literal["accuracy", "f1", "matthews"], positive: Any) -> None:
    labels, predictions = map(np.array, CLASSES[name])
    classes = max(2, int(labels.max()) + 1)
    runs = of_classes(metric, labels, predictions, classes, positive)
    for run, predicted in enumerate(predictions):

        def score(keep, predicted=predicted) -> float:
            if metric != "f1":
                return scores(counts(labels[keep], predicted[keep], classes))[metric] or 0.0
            occurring = {*labels[keep], *predicted[keep]} - {classes}
            asked = sorted(occurring) if positive == "macro" else [positive]
            options: Any = {"labels": asked, "average": "macro", "zero_division": 0}
            return f1_score(labels[keep], predicted[keep], **options)

        assert runs.scores[run] == pytest.approx(score(np.ones(len(labels), bool)), abs=1e-12)
        wanted = pseudo(score, len(labels))
        assert runs.pseudo_values[run] == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("metric", ["pearson", "spearman"])
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name: str, metric: Literal["pearson", "spearman"]) -> None:
    targets, predictions = map(np.array, NUMBERS[name])
    runs = of_numbers(metric, targets, predictions)
    for run, predicted in enumerate(predictions):

        def score(keep, predicted=predicted) -> float:
            pair = targets[keep], predicted[keep]
            if metric == "spearman":
                pair = rankdata(pair[0]), rankdata(pair[1])
            return correlation(moments(*pair)) or 0.0

        assert runs.scores[run] == pytest.approx(score(np.ones(len(targets), bool)), abs=1e-12)
        wanted = pseudo(score, len(targets))
        assert runs.pseudo_values[run] == pytest.approx(wanted, abs=1e-9)


def test_ranks_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spearman's ranks are made for some examples at a time; how many changes nothing."""
    rng = np.random.default_rng(0)
    targets, predictions = rng.integers(0, 9, 50) / 2, rng.normal(size=(1, 50))
    whole = of_numbers("spearman", targets, predictions).pseudo_values
    monkeypatch.setattr("orchestrator.analysis.pseudo_values.ROWS_AT_ONCE", 150)
    assert (of_numbers("spearman", targets, predictions).pseudo_values == whole).all()
    assert correlation(moments(ranks(targets), ranks(predictions[0]))) == pytest.approx(
        of_numbers("spearman", targets, predictions).scores[0]
    )


def test_runs_that_predict_the_same() -> None:
    runs = of_classes("accuracy", [0, 1, 1], [[0, 1, 0], [0, 1, 0], [1, 1, 1]], 2)
    assert not runs.identical
    assert runs.only([0, 1]).identical
    assert not runs.only([2]).identical
    assert runs.only(np.array([False, False, True])).scores.tolist() == [2 / 3]


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([0, 1], [[0, 1, 1]], "must be"),
        ([0, 1], [0, 1], "must be"),
        ([0], [[0]], "two examples"),
        ([0, 1], np.zeros((0, 2), int), "one run"),
        ([0, 2], [[0, 1]], r"labels must be in \[0, 2\)"),
        ([0, 1], [[0, 3]], r"predictions in \[0, 2\]"),
    ],
)
def test_refused(labels, predictions, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        of_classes("accuracy", labels, predictions, 2)
