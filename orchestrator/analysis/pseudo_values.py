"""Jackknife pseudo-values: how much each example contributes to the score of a run.

The pseudo-value of example i is ``n * m - (n - 1) * m_i``, with m the score of all n examples and
m_i that of all but the i-th (Quenouille 1956; Tukey 1958). Of accuracy it is 1 where the prediction
is right and 0 elsewhere. Every ``m_i`` is computed in closed form but Spearman's, whose ranks move.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

ROWS_AT_ONCE = 2**22
"""Numbers that the ranks for Spearman may take at once: 32 MiB."""
ROUNDING = 1e-12
"""Share of a sum of squares that is taken for rounding when one example is taken out of it."""


@dataclass(frozen=True)
class Runs:
    """The runs of one arm on one task.

    Attributes:
        scores: a metric of each run, as a fraction, shape ``(seeds,)``.
        pseudo_values: of the same metric, shape ``(seeds, examples)``.
        predictions: of each run, same shape, to tell whether runs differ at all.
    """

    scores: np.ndarray
    pseudo_values: np.ndarray
    predictions: np.ndarray

    @property
    def identical(self) -> bool:
        """Whether several runs predict the same throughout: the seed had no effect."""
        return len(self.predictions) > 1 and bool((self.predictions == self.predictions[0]).all())

    def only(self, chosen: ArrayLike) -> "Runs":
        """Some of the runs; ``chosen``: their indices, or whether each, shape ``(seeds,)``."""
        index = np.asarray(chosen)
        return Runs(self.scores[index], self.pseudo_values[index], self.predictions[index])


def of_classes(
    metric: Literal["accuracy", "f1", "matthews"],
    labels: ArrayLike,
    predictions: ArrayLike,
    classes: int,
    positive: int | Literal["macro"] = 1,
) -> Runs:
    """Score runs that predict classes.

    Args:
        metric: F1 and Matthews' correlation are 0 where nothing is there to divide by.
        labels: true classes, shape ``(examples,)``, each in ``[0, classes)``.
        predictions: predicted classes, shape ``(seeds, examples)``; ``classes`` itself stands for
            another task's class, which is always wrong.
        classes: number of classes C.
        positive: the class of F1, or its mean over the classes that occur among labels or
            predictions.

    Raises:
        ValueError: the shapes do not fit, there are fewer than two examples, or a class is out of
            range.
    """
    true, predicted = _checked(labels, predictions)
    if true.min() < 0 or true.max() >= classes or predicted.min() < 0 or predicted.max() > classes:
        raise ValueError(f"labels must be in [0, {classes}), predictions in [0, {classes}]")
    counted = [_Counts.of(true, run, classes) for run in predicted]
    if metric == "accuracy":
        pairs = [(c.right / c.total, _ratio(c.right - c.hit, c.total - 1)) for c in counted]
    elif metric == "matthews":
        pairs = [_matthews(counts) for counts in counted]
    elif positive == "macro":
        pairs = [_macro_f1(counts) for counts in counted]
    else:
        pairs = [_f1(counts, positive) for counts in counted]
    return _runs(pairs, predicted)


def of_numbers(
    metric: Literal["pearson", "spearman"], targets: ArrayLike, predictions: ArrayLike
) -> Runs:
    """Score runs that predict numbers.

    Args:
        metric: 0 where the targets or the predictions are all equal.
        targets: shape ``(examples,)``.
        predictions: shape ``(seeds, examples)``.

    Raises:
        ValueError: the shapes do not fit or there are fewer than two examples.
    """
    true, predicted = _checked(targets, predictions)
    score: Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]
    score = _pearson if metric == "pearson" else _spearman
    return _runs([score(true.astype(float), run.astype(float)) for run in predicted], predicted)


def _checked(labels: ArrayLike, predictions: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    true, predicted = np.asarray(labels), np.asarray(predictions)
    if true.ndim != 1 or predicted.ndim != 2 or predicted.shape[1:] != true.shape:
        raise ValueError(
            f"labels must be (examples,), predictions (seeds, examples); they are {true.shape} "
            f"and {predicted.shape}"
        )
    if len(true) < 2 or not len(predicted):
        raise ValueError("at least two examples and one run are needed")
    return true, predicted


def _runs(pairs: list[tuple[float, np.ndarray]], predicted: np.ndarray) -> Runs:
    scores = np.array([score for score, _ in pairs])
    without = np.array([values for _, values in pairs])
    n = without.shape[1]
    return Runs(scores, n * scores[:, None] - (n - 1) * without, predicted)


@dataclass(frozen=True)
class _Counts:
    """What every metric of a run follows from; C classes, n examples, float64 arrays.

    Attributes:
        total, right: number of examples, and of those that are predicted right.
        true, said, hits: how often each class is the label, the prediction, both; ``(C + 1,)``.
        label, prediction: of each example, ``(n,)``.
        hit: whether each is predicted right, ``(n,)``.
    """

    total: int
    right: int
    true: np.ndarray
    said: np.ndarray
    hits: np.ndarray
    label: np.ndarray
    prediction: np.ndarray
    hit: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray, predictions: np.ndarray, classes: int) -> "_Counts":
        hit = labels == predictions
        true, said, hits = (
            np.bincount(values, minlength=classes + 1).astype(float)
            for values in (labels, predictions, labels[hit])
        )
        return cls(len(labels), int(hit.sum()), true, said, hits, labels, predictions, hit)


def _ratio(numerator: np.ndarray, denominator: np.ndarray | int) -> np.ndarray:
    """A ratio, 0 where there is nothing to divide by."""
    below = np.broadcast_to(np.asarray(denominator, dtype=float), numerator.shape)
    return np.divide(numerator, below, out=np.zeros(numerator.shape), where=below > 0)


def _matthews(c: _Counts) -> tuple[float, np.ndarray]:
    """Gorodkin's R_K, see ``trainables.results.metrics.scores``; of all, and without each."""
    both, true, said = c.true @ c.said, c.true @ c.true, c.said @ c.said
    whole = _r_k(c.total, np.array(float(c.right)), both, true, said)
    without = _r_k(
        c.total - 1,
        c.right - c.hit.astype(float),
        both - c.said[c.label] - c.true[c.prediction] + c.hit,
        true - 2 * c.true[c.label] + 1,
        said - 2 * c.said[c.prediction] + 1,
    )
    return float(whole), without


def _r_k(
    total: int, right: np.ndarray, both: np.ndarray, true: np.ndarray, said: np.ndarray
) -> np.ndarray:
    """From sums over classes: of products of label and prediction counts, of squares of each."""
    spread = (total**2 - true) * (total**2 - said)
    return _ratio(right * total - both, np.sqrt(np.maximum(spread, 0.0)))


def _f1(c: _Counts, positive: int) -> tuple[float, np.ndarray]:
    """F1 of one class; of all, and without each."""
    is_, said = c.label == positive, c.prediction == positive
    below = c.true[positive] + c.said[positive]
    without = _ratio(2 * (c.hits[positive] - (is_ & said)), below - is_ - said)
    return float(2 * c.hits[positive] / below) if below else 0.0, without


def _macro_f1(c: _Counts) -> tuple[float, np.ndarray]:
    """Mean F1 of the classes that occur; of all, and without each."""
    # The last class stands for other tasks' classes, of which there is no F1.
    true, said, hits = c.true[:-1], c.said[:-1], c.hits[:-1]
    f1 = _ratio(2 * hits, true + said)
    total, occurring = f1.sum(), int((true + said > 0).sum())
    if not occurring:
        return 0.0, np.zeros(c.total)
    own_class = c.prediction < len(f1)
    i, j = c.label, np.where(own_class, c.prediction, 0)
    # Only the classes of the label and of the prediction change without an example.
    below_i = true[i] + said[i] - 1 - c.hit
    new_i = _ratio(2 * (hits[i] - c.hit), below_i)
    below_j = true[j] + said[j] - 1
    new_j = _ratio(2 * hits[j], below_j)
    wrong = own_class & ~c.hit
    change = new_i - f1[i] + np.where(wrong, new_j - f1[j], 0.0)
    lost = (below_i == 0).astype(int) + (wrong & (below_j == 0))
    return total / occurring, _ratio(total + change, occurring - lost)


def _pearson(targets: np.ndarray, predictions: np.ndarray) -> tuple[float, np.ndarray]:
    a, b = targets - targets.mean(), predictions - predictions.mean()
    # Without an example its deviation from the mean of the others counts n / (n - 1) times.
    share = len(a) / (len(a) - 1)
    aa, bb, ab = a @ a, b @ b, a @ b
    rest_aa, rest_bb = (
        np.where(rest > ROUNDING * whole, rest, 0.0)
        for whole, rest in ((aa, aa - share * a * a), (bb, bb - share * b * b))
    )
    return float(_correlation(aa, bb, ab)), _correlation(rest_aa, rest_bb, ab - share * a * b)


def _correlation(aa: ArrayLike, bb: ArrayLike, ab: ArrayLike) -> np.ndarray:
    """From sums of squares and of products about the mean; 0 where one side is constant."""
    spread = np.sqrt(np.asarray(aa) * np.asarray(bb))
    return np.clip(_ratio(np.asarray(ab, dtype=float), spread), -1.0, 1.0)


def _spearman(targets: np.ndarray, predictions: np.ndarray) -> tuple[float, np.ndarray]:
    whole = _pearson(rankdata(targets), rankdata(predictions))[0]
    n = len(targets)
    without = np.empty(n)
    step = max(1, ROWS_AT_ONCE // n)
    for first in range(0, n, step):
        left_out = np.arange(first, min(first + step, n))
        a, b = (_ranks_without(values, left_out) for values in (targets, predictions))
        a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
        # The place of the example itself holds the mean of the others, so that it adds nothing.
        without[left_out] = _correlation((a * a).sum(1), (b * b).sum(1), (a * b).sum(1))
    return whole, without


def _ranks_without(values: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """Ranks without each of some examples, shape ``(left_out, examples)``.

    Ranks of larger values fall by 1, of equal ones by 1/2. An example's own place holds the mean.
    """
    removed = values[left_out][:, None]
    ranks = rankdata(values) - (values > removed) - 0.5 * (values == removed)
    ranks[np.arange(len(left_out)), left_out] = len(values) / 2
    return ranks
