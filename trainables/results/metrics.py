"""How predictions become numbers: a confusion matrix, and every score as a function of it.

Pure numpy, so that a report can recompute each score from a record without loading torch. The
metric of the ``evaluate`` library around the same functions is in ``evaluate_metric.py``.
"""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class MetricInfo(NamedTuple):
    """How a metric is called in a table, and whether more or less of it is better."""

    title: str
    direction: Literal["max", "min"]


METRICS = {
    "accuracy": MetricInfo("Accuracy", "max"),
    "f1": MetricInfo("F1", "max"),
    "matthews": MetricInfo("Matthews", "max"),
}
"""The metrics that ``scores`` returns, in the order of a table's columns."""


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


def scores(confusion: ArrayLike) -> dict[str, float]:
    """Every metric of one split, as fractions.

    - ``accuracy``: the share of right predictions.
    - ``f1``: of class 1 for two classes; for more, the plain mean over all classes (macro). A
      class that neither occurs nor is predicted has F1 0, as with scikit-learn's
      ``zero_division=0``.
    - ``matthews``: the correlation coefficient R_K of Gorodkin, "Comparing two K-category
      assignments by a K-category correlation coefficient" (2004), which is Matthews' coefficient
      for two classes. 0 where it is undefined (all examples of, or all predicted as, one class).

    Args:
        confusion: counts of shape ``(C, C)``, true class first; or ``(C, C + 1)``, where the last
            column counts predictions of another task's class, which are wrong for every metric.

    Raises:
        ValueError: the matrix has another shape or counts no example.
    """
    matrix = np.asarray(confusion, dtype=np.int64)
    if matrix.ndim != 2 or matrix.shape[1] - matrix.shape[0] not in (0, 1):
        raise ValueError(f"a confusion matrix is square, this one is {matrix.shape}")
    total = int(matrix.sum())
    if total == 0:
        raise ValueError("a confusion matrix without examples has no scores")
    # Python integers from here: products of counts must not overflow.
    right = [int(n) for n in matrix.diagonal()]
    true = [int(n) for n in matrix.sum(axis=1)]
    predicted = [int(n) for n in matrix.sum(axis=0)]

    f1 = [
        2 * hit / (is_ + said) if is_ + said else 0.0
        for hit, is_, said in zip(right, true, predicted, strict=False)
    ]
    covariance = sum(right) * total - sum(a * b for a, b in zip(true, predicted, strict=False))
    spread = (total**2 - sum(n * n for n in true)) * (total**2 - sum(n * n for n in predicted))
    return {
        "accuracy": sum(right) / total,
        "f1": f1[1] if len(f1) == 2 else fmean(f1),
        "matthews": covariance / math.sqrt(spread) if spread else 0.0,
    }


def pooled(confusions: Sequence[ArrayLike]) -> dict[str, float] | None:
    """Scores of several tasks' examples taken together as one set.

    The matrices are added where all tasks have the same number of classes; otherwise class ``k``
    means nothing across tasks and only ``accuracy`` is returned. ``None`` without tasks.
    """
    matrices = [np.asarray(confusion, dtype=np.int64) for confusion in confusions]
    if not matrices:
        return None
    if len({len(matrix) for matrix in matrices}) == 1:
        columns = max(matrix.shape[1] for matrix in matrices)
        return scores(sum(np.pad(m, ((0, 0), (0, columns - m.shape[1]))) for m in matrices))
    right = sum(int(matrix.trace()) for matrix in matrices)
    return {"accuracy": right / sum(int(matrix.sum()) for matrix in matrices)}


def macro(headlines: Sequence[float]) -> float:
    """The plain mean of the tasks' headline metrics; NaN if one of them is NaN."""
    return fmean(headlines)
