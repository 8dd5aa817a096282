"""How predictions become scores.

Classes give a confusion matrix, numbers the moments of targets and predictions; every score is a
function of these. Pure numpy, so that a report can recompute each score from a record without
loading torch. The metric of the ``evaluate`` library around the same functions is in
``evaluate_metric.py``.
"""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from trainables.config.metrics import CLASSIFICATION, Positive, default_f1, undefined

TARGET_ROUNDING, PREDICTION_ROUNDING = 1e-12, 1e-6
"""Standard deviations, relative to the mean, that are taken for rounding: of targets, which are
numbers in double precision, and of predictions, which are computed in single precision."""


def confusion_matrix(labels: ArrayLike, predictions: ArrayLike, classes: int) -> np.ndarray:
    """Count the examples per true and predicted class.

    Args:
        labels: true classes, shape ``(examples,)``, each in ``[0, classes)``.
        predictions: predicted classes, of the same shape and range.
        classes: number of classes C.

    Returns:
        int64 array of shape ``(C, C)``; ``[i, j]`` counts class ``i`` predicted as ``j``.

    Raises:
        ValueError: the shapes differ, or a class is out of range.
    """
    true = np.asarray(labels, dtype=np.int64)
    predicted = np.asarray(predictions, dtype=np.int64)
    if true.ndim != 1 or true.shape != predicted.shape:
        raise ValueError(
            f"labels {true.shape} and predictions {predicted.shape} must be flat and equally long"
        )
    for name, values in (("label", true), ("prediction", predicted)):
        outside = values[(values < 0) | (values >= classes)]
        if outside.size:
            raise ValueError(f"{name} {outside[0]} is not among the {classes} classes")
    flat = np.bincount(true * classes + predicted, minlength=classes * classes)
    return flat.astype(np.int64).reshape(classes, classes)


def counts(labels: ArrayLike, predictions: ArrayLike, classes: int) -> np.ndarray:
    """``confusion_matrix`` with a column more, ``(C, C + 1)``.

    The last counts predictions of class ``C``, which stands for another task's class.
    """
    return confusion_matrix(labels, predictions, classes + 1)[:classes]


def trimmed(confusion: np.ndarray) -> np.ndarray:
    """``counts`` as a record keeps them: the last column only where it counts anything."""
    return confusion if confusion[:, -1].any() else confusion[:, :-1]


def scores(confusion: ArrayLike, positive: Positive | None = None) -> dict[str, float | None]:
    """Every metric of one split, as fractions; None for what its labels leave undefined.

    - ``accuracy``: the share of right predictions.
    - ``f1``: of one class, or the plain mean over the classes that occur among the labels or the
      predictions (macro), as scikit-learn's ``f1_score(average="macro", zero_division=0)``.
    - ``matthews``: the correlation coefficient R_K of Gorodkin, "Comparing two K-category
      assignments by a K-category correlation coefficient" (2004), which is Matthews' coefficient
      for two classes. 0 where all examples are predicted as one class.

    Args:
        confusion: counts of shape ``(C, C)``, true class first; or ``(C, C + 1)``, where the last
            column counts predictions of another task's class, which are wrong for every metric.
        positive: the class of ``f1``, or macro; None: class 1 of two, macro of more.

    Raises:
        ValueError: the matrix has another shape or counts no example.
    """
    matrix = np.asarray(confusion, dtype=np.int64)
    if matrix.ndim != 2 or matrix.shape[1] - matrix.shape[0] not in (0, 1):
        raise ValueError(f"a confusion matrix is square, this one is {matrix.shape}")
    return scores_of(matrix.tolist(), CLASSIFICATION, positive)


def scores_of(
    rows: Sequence[Sequence[int]], metrics: Iterable[str], positive: Positive | None = None
) -> dict[str, float | None]:
    """Some of ``scores``.

    Args:
        rows: of a confusion matrix, see ``scores``; Python integers, because products of counts
            must not overflow.
        metrics: of ``CLASSIFICATION``.
        positive: see ``scores``.

    Raises:
        ValueError: the matrix counts no example.
        KeyError: there is no such metric.
    """
    true = [sum(row) for row in rows]
    if not any(true):
        raise ValueError("a confusion matrix without examples has no scores")
    if positive is None:
        positive = default_f1(len(true))
    counted = _Counted(
        [row[label] for label, row in enumerate(rows)],
        true,
        [sum(column) for column in zip(*rows, strict=True)],
        positive,
    )
    lacking = undefined(true, positive)
    return {metric: None if metric in lacking else _SCORES[metric](counted) for metric in metrics}


class _Counted(NamedTuple):
    """Examples of each class: predicted right, labelled so, predicted so; and whose F1 it is."""

    right: list[int]
    true: list[int]
    predicted: list[int]
    positive: Positive


def _accuracy(counted: _Counted) -> float:
    return sum(counted.right) / sum(counted.true)


def _f1(counted: _Counted) -> float | None:
    by_class = {
        label: 2 * hit / (is_ + said)
        for label, (hit, is_, said) in enumerate(zip(*counted[:3], strict=False))
        if is_ + said
    }
    if counted.positive == "macro":
        return fmean(by_class.values())
    return by_class.get(counted.positive)


def _matthews(counted: _Counted) -> float:
    right, true, predicted, _ = counted
    total = sum(true)
    covariance = sum(right) * total - sum([a * b for a, b in zip(true, predicted, strict=False)])
    spread = (total**2 - sum([n * n for n in true])) * (total**2 - sum([n * n for n in predicted]))
    return covariance / math.sqrt(spread) if spread else 0.0


_SCORES = {"accuracy": _accuracy, "f1": _f1, "matthews": _matthews}


def pooled(
    confusions: Sequence[ArrayLike],
    positives: Sequence[Positive | None] | None = None,
    names: Sequence[Sequence[str]] | None = None,
) -> dict[str, float | None] | None:
    """Scores of several tasks' examples taken together as one set.

    The matrices are added where all tasks have the same number of classes; otherwise class ``k``
    means nothing across tasks and only ``accuracy`` is returned. Two classes are added with the
    positive one as class 1; more by their names, where all tasks have the same ones. Where the
    tasks ask for different kinds of F1, there is none together. ``None`` without tasks.

    Args:
        confusions: one matrix per task, see ``scores``.
        positives: whose F1 each task asks for, see ``scores``; None: the default of all.
        names: each task's class names in their order; None: not known.
    """
    matrices = [np.asarray(confusion, dtype=np.int64) for confusion in confusions]
    if not matrices:
        return None
    if len({len(matrix) for matrix in matrices}) == 1:
        kinds = set()
        by_name = names and len(names[0]) > 2 and len({frozenset(own) for own in names}) == 1
        for i, positive in enumerate(positives or [None] * len(matrices)):
            if names and by_name:
                order = [list(names[i]).index(name) for name in names[0]]
                rest = range(len(order), matrices[i].shape[1])
                matrices[i] = matrices[i][order][:, [*order, *rest]]
                positive = order.index(positive) if isinstance(positive, int) else positive
            if positive == 0 and len(matrices[i]) == 2:
                matrices[i] = matrices[i][[1, 0]][:, [1, 0, *range(2, matrices[i].shape[1])]]
                positive = 1
            kinds.add(default_f1(len(matrices[i])) if positive is None else positive)
        together = np.zeros((len(matrices[0]), max(m.shape[1] for m in matrices)), dtype=np.int64)
        for matrix in matrices:
            together[:, : matrix.shape[1]] += matrix
        values = scores_of(together.tolist(), CLASSIFICATION, next(iter(kinds)))
        if len(kinds) > 1:
            del values["f1"]
        return values
    right = sum(int(matrix.trace()) for matrix in matrices)
    return {"accuracy": right / sum(int(matrix.sum()) for matrix in matrices)}


def no_moments() -> np.ndarray:
    """The moments of no examples, see ``moments``."""
    return np.zeros(6)


def moments(targets: ArrayLike, predictions: ArrayLike) -> np.ndarray:
    """What the Pearson correlation of targets and predictions follows from.

    Args:
        targets: shape ``(examples,)``.
        predictions: of the same shape; what is not finite counts as 0.

    Returns:
        float64 of shape ``(6,)``: number of examples, mean target, mean prediction, sum of squared
        deviations from the mean of the targets and of the predictions, sum of their products.

    Raises:
        ValueError: the shapes differ.
    """
    true = np.asarray(targets, dtype=np.float64)
    predicted = np.nan_to_num(np.asarray(predictions, dtype=np.float64), posinf=0.0, neginf=0.0)
    if true.ndim != 1 or true.shape != predicted.shape:
        raise ValueError(
            f"targets {true.shape} and predictions {predicted.shape} must be flat and equally long"
        )
    if not len(true):
        return no_moments()
    a, b = true - true.mean(), predicted - predicted.mean()
    return np.array([len(true), true.mean(), predicted.mean(), a @ a, b @ b, a @ b])


def added(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Moments of two sets of examples together.

    Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances" (1979).
    """
    total = first[0] + second[0]
    if not total:
        return no_moments()
    share = second[0] / total
    x, y = second[1:3] - first[1:3]
    between = first[0] * share * np.array([x * x, y * y, x * y])
    return np.array(
        [total, first[1] + share * x, first[2] + share * y, *(first[3:] + second[3:] + between)]
    )


def ranks(values: ArrayLike) -> np.ndarray:
    """Ranks from 1, the mean of their ranks for equal values, float64 of shape ``(examples,)``."""
    _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def correlation(of: np.ndarray) -> float | None:
    """The Pearson correlation, from ``moments``; of ranks it is Spearman's.

    None where the targets are all equal, and 0 where the predictions are (see ``is_constant``).
    """
    count, mean, _, squares, predicted, products = of.tolist()
    if squares <= count * (TARGET_ROUNDING * mean) ** 2:
        return None
    if is_constant(of):
        return 0.0
    return max(-1.0, min(1.0, products / math.sqrt(squares * predicted)))


def is_constant(of: np.ndarray) -> bool:
    """Whether predictions differ by no more than rounding; from ``moments``."""
    count, _, mean, _, squares, _ = of.tolist()
    return squares <= count * (PREDICTION_ROUNDING * mean) ** 2


def macro(headlines: Sequence[float | None]) -> float | None:
    """The plain mean of the tasks' headline metrics; NaN if one of them is NaN.

    Those that are undefined (None) are left out; None if all are.
    """
    defined = [value for value in headlines if value is not None]
    return fmean(defined) if defined else None
