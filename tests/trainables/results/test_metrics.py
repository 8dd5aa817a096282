"""Scores agree with scikit-learn and are known by hand where they are degenerate."""

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from trainables.config.metrics import CLASSIFICATION, Positive
from trainables.results.metrics import (
    added,
    confusion_matrix,
    correlation,
    is_constant,
    macro,
    moments,
    pooled,
    ranks,
    scores,
)
from trainables.results.record import Moments, TaskResult

NUMBERS = Moments.of(moments([1.0, 2.0], [0.5, 0.7])).model_dump()


@st.composite
def classified(draw: st.DrawFn) -> tuple[int, list[int], list[int]]:
    """A number of classes, true labels and predictions; absent classes occur."""
    classes = draw(st.integers(2, 4))
    pairs = st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1))
    drawn = draw(st.lists(pairs, min_size=1, max_size=40))
    return classes, [a for a, _ in drawn], [b for _, b in drawn]


def reference(
    labels: list[int], predictions: list[int], positive: Positive
) -> dict[str, float | None]:
    """The same scores from scikit-learn, but for what the labels leave undefined."""
    if positive == "macro":
        options: dict[str, Any] = {"average": "macro", "zero_division": 0}
    else:
        options = {"average": "macro", "zero_division": 0, "labels": [positive]}
    several = len(set(labels)) > 1
    f1 = sklearn.metrics.f1_score(labels, predictions, **options)
    return {
        "accuracy": sklearn.metrics.accuracy_score(labels, predictions),
        "f1": f1 if several and (positive == "macro" or positive in labels) else None,
        "matthews": sklearn.metrics.matthews_corrcoef(labels, predictions) if several else None,
    }


@given(classified(), st.data())
def test_scores_equal_scikit_learn(
    case: tuple[int, list[int], list[int]], data: st.DataObject
) -> None:
    classes, labels, predictions = case
    confusion = confusion_matrix(labels, predictions, classes)
    expected = sklearn.metrics.confusion_matrix(labels, predictions, labels=range(classes))
    assert confusion.dtype == np.int64
    np.testing.assert_array_equal(confusion, expected)
    choices: list[Positive] = ["macro", *range(classes)]
    positive = data.draw(st.sampled_from(choices))
    assert scores(confusion, positive) == pytest.approx(
        reference(labels, predictions, positive), abs=1e-12
    )
    assert scores(confusion) == scores(confusion, 1 if classes == 2 else "macro")
    assert list(scores(confusion)) == list(CLASSIFICATION)


@pytest.mark.parametrize(
    ("confusion", "accuracy", "f1", "matthews"),
    [
        ([[5, 0], [0, 5]], 1.0, 1.0, 1.0),
        ([[0, 5], [5, 0]], 0.0, 0.0, -1.0),
        ([[0, 3], [0, 7]], 0.7, 14 / 17, 0.0),  # all predicted as class 1
        ([[3, 0], [7, 0]], 0.3, 0.0, 0.0),  # all predicted as class 0
        ([[4, 0], [0, 0]], 1.0, None, None),  # every label is class 0
        ([[0, 0], [1, 3]], 0.75, None, None),  # every label is class 1
        ([[6, 2], [1, 3]], 9 / 12, 6 / 9, 16 / math.sqrt(8 * 4 * 7 * 5)),
        ([[2, 0, 0], [0, 2, 0], [0, 0, 2]], 1.0, 1.0, 1.0),
        # A class that neither occurs nor is predicted is not in the mean; a predicted one is.
        ([[1, 1, 0], [0, 2, 0], [0, 0, 0]], 0.75, (2 / 3 + 4 / 5) / 2, 4 / math.sqrt(48)),
        ([[1, 0, 1], [0, 2, 0], [0, 0, 0]], 0.75, (2 / 3 + 1) / 3, 6 / math.sqrt(80)),
    ],
)
def test_scores_known_by_hand(
    confusion: list[list[int]], accuracy: float, f1: float | None, matthews: float | None
) -> None:
    expected = {"accuracy": accuracy, "f1": f1, "matthews": matthews}
    assert scores(confusion) == pytest.approx(expected, abs=1e-12)


def test_scores_of_huge_counts_do_not_overflow() -> None:
    small = [[60, 20], [10, 30]]
    huge = np.asarray(small) * 10**10
    assert scores(huge) == pytest.approx(scores(small))


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([0, 1], [0], "equally long"),
        ([0, 2], [0, 1], "label 2"),
        ([0, 1], [0, -1], "prediction -1"),
    ],
)
def test_confusion_matrix_refuses(labels: list[int], predictions: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        confusion_matrix(labels, predictions, 2)


@pytest.mark.parametrize("confusion", [[[0, 0], [0, 0]], [[1, 2, 3]], [[1], [2]], [1, 2]])
def test_scores_refuse(confusion: list) -> None:
    with pytest.raises(ValueError, match="confusion matrix"):
        scores(confusion)


@given(classified(), st.integers(0, 40))
def test_pooled_is_the_score_of_all_examples_together(
    case: tuple[int, list[int], list[int]], cut: int
) -> None:
    classes, labels, predictions = case
    parts = [
        confusion_matrix(labels[piece], predictions[piece], classes)
        for piece in (slice(cut), slice(cut, None))
    ]
    assert pooled(parts) == scores(confusion_matrix(labels, predictions, classes))


def test_pooled_over_different_class_counts_is_accuracy_alone() -> None:
    assert pooled([[[3, 1], [0, 4]], [[1, 0, 0], [1, 0, 0], [0, 0, 0]]]) == {"accuracy": 0.8}
    assert pooled([]) is None


@pytest.mark.parametrize(
    ("positives", "straight"),
    [(None, None), ([1, 2], [1, 1]), (["macro", "macro"], ["macro", "macro"])],
)
def test_more_than_two_classes_are_pooled_by_their_names(positives: Any, straight: Any) -> None:
    first = np.array([[5, 1, 0, 2], [2, 6, 1, 0], [0, 0, 7, 1]])
    second = np.array([[3, 0, 1], [1, 4, 0], [2, 0, 9]])
    # The same counts with the classes in the order c, a, b.
    turned = second[[2, 0, 1]][:, [2, 0, 1]]
    names = [("a", "b", "c"), ("c", "a", "b")]
    assert pooled([first, turned], positives, names) == pooled([first, second], straight)
    assert pooled([first, turned], None, names) != pooled([first, turned])
    others = [("a", "b", "c"), ("c", "a", "d")]
    assert pooled([first, turned], None, others) == pooled([first, turned])


def test_pooled_f1_is_that_of_each_tasks_positive_class() -> None:
    first, second = [[6, 2], [1, 3]], [[0, 5, 1], [2, 9, 0]]
    flipped = [[3, 1], [2, 6]]
    assert pooled([flipped, second], [0, 1]) == pooled([first, second], [1, None])
    assert pooled([first, second], ["macro", "macro"]) == scores([[6, 7, 1], [3, 12, 0]], "macro")
    different = pooled([first, second], ["macro", 1])
    assert different is not None
    assert set(different) == {"accuracy", "matthews"}


def test_macro_is_the_plain_mean() -> None:
    assert macro([0.5, 1.0, 0.0]) == 0.5
    assert macro([0.5, None, 1.0]) == 0.75
    assert macro([None]) is None
    assert math.isnan(macro([0.5, math.nan]) or 0)


VALUES = st.lists(
    st.tuples(st.integers(-20, 20), st.floats(-5, 5, width=16)), min_size=2, max_size=30
).filter(lambda rows: len({a for a, _ in rows}) > 1 and len({b for _, b in rows}) > 1)


@given(VALUES, st.integers(0, 30))
def test_correlations_equal_scipy_also_in_parts(rows: list[tuple[int, float]], cut: int) -> None:
    targets, predictions = (np.array(column) for column in zip(*rows, strict=True))
    whole = moments(targets, predictions)
    expected = scipy.stats.pearsonr(targets, predictions)[0]
    assert correlation(whole) == pytest.approx(expected, abs=1e-9)
    first, second = (moments(targets[p], predictions[p]) for p in (slice(cut), slice(cut, None)))
    np.testing.assert_allclose(added(first, second), whole, atol=1e-9)
    of_ranks = moments(ranks(targets), ranks(predictions))
    result = TaskResult(numbers=Moments.of(whole), ranks=Moments.of(of_ranks))
    assert result.scores() == pytest.approx(
        {"pearson": expected, "spearman": scipy.stats.spearmanr(targets, predictions)[0]}, abs=1e-9
    )
    assert TaskResult.model_validate_json(result.model_dump_json()).scores() == result.scores()


@pytest.mark.parametrize(
    ("targets", "predictions", "value"),
    [
        ([1.0, 2.0, 3.0], [7.0, 7.0, 7.0], 0.0),
        ([1.0, 2.0, 3.0], [2.5, 2.5000001, 2.5000002], 0.0),  # differs by rounding alone
        ([1.0, 2.0, 3.0], [math.nan, math.inf, 0.0], 0.0),
        ([2.8, 2.8, 2.8], [1.0, 2.0, 3.0], None),
        ([1e6, 1e6 + 1, 1e6 + 2], [0.1, 0.2, 0.3], 1.0),
        ([1.0, 2.0], [5.0, -5.0], -1.0),
    ],
)
def test_predictions_that_are_equal_score_0_and_equal_targets_have_no_score(
    targets: list[float], predictions: list[float], value: float | None
) -> None:
    numbers = moments(targets, predictions)
    result = TaskResult(
        numbers=Moments.of(numbers), ranks=Moments.of(moments(ranks(targets), ranks(predictions)))
    )
    expected = None if value is None else pytest.approx(value, abs=1e-9)
    assert result.scores() == {"pearson": expected, "spearman": expected}
    assert is_constant(numbers) == result.constant == (value == 0)


@pytest.mark.parametrize("content", [{}, {"confusion": [[1, 0], [0, 1]], "numbers": NUMBERS}])
def test_a_result_has_either_classes_or_numbers(content: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="either a confusion or numbers"):
        TaskResult.model_validate(content)


@settings(max_examples=25, deadline=None)
@given(classified())
def test_evaluate_metric_equals_scores(case: tuple[int, list[int], list[int]]) -> None:
    from trainables.results.evaluate_metric import Classification

    classes, labels, predictions = case
    confusion = confusion_matrix(labels, predictions, classes)
    expected = scores(confusion) | {"confusion": confusion.tolist()}
    metric = Classification()
    got = metric.compute(predictions=predictions, references=labels, classes=classes)
    assert got == expected
    for label, prediction in zip(labels, predictions, strict=True):
        metric.add_batch(predictions=[prediction], references=np.array([label]))
    assert metric.compute(classes=classes) == expected


def test_evaluate_metric_infers_the_classes() -> None:
    from trainables.results.evaluate_metric import Classification

    for predictions, references, classes in (([0, 0], [0, 0], 2), ([0, 2], [0, 1], 3)):
        measured = Classification().compute(predictions=predictions, references=references)
        assert measured is not None
        expected = confusion_matrix(references, predictions, classes)
        assert measured["confusion"] == expected.tolist()


def test_evaluate_metric_counts_another_tasks_class_as_wrong() -> None:
    from trainables.results.evaluate_metric import Classification

    measured = Classification().compute(predictions=[0, 2, 1], references=[0, 0, 1], classes=2)
    assert measured is not None
    assert measured["confusion"] == [[1, 0, 1], [0, 1, 0]]
    assert measured["accuracy"] == pytest.approx(2 / 3)


def test_evaluate_metric_needs_no_network_and_leaves_no_file(tmp_path: Path) -> None:
    """In a fresh process whose sockets are refused, and whose home starts empty."""
    script = """
import socket
def refuse(*arguments): raise AssertionError("a connection was opened")
socket.socket.connect = socket.getaddrinfo = refuse
from trainables.results.evaluate_metric import Classification
print(Classification().compute(predictions=[0, 1, 1], references=[0, 1, 0])["accuracy"])
"""
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    for name in ("HF_HUB_OFFLINE", "HF_HOME", "HF_METRICS_CACHE", "XDG_CACHE_HOME"):
        environment.pop(name, None)
    result = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert float(result.stdout) == pytest.approx(2 / 3)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_scores_are_imported_without_torch() -> None:
    script = (
        "import sys, trainables.results.metrics; "
        "print({'torch', 'datasets', 'evaluate', 'transformers'} & set(sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
