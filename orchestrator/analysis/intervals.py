"""The difference of two arms for new seeds and new examples, in closed form.

Variance of the seeds is added up per arm (seeds of different strategies have nothing in common);
that of the examples is taken of the difference (both arms are scored on the same ones). What both
would count twice, the seeds' noise on single examples, is subtracted once. Degrees of freedom
follow Welch (1947) and Satterthwaite (1946). With no variance of examples it is Welch's t test over
seeds, with none of seeds the paired t test over examples. How well the intervals cover is measured
by ``python -m benchmarks.calibration``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtr, stdtrit

from orchestrator.analysis.pseudo_values import Runs

ROUNDING = 1e-24
"""A variance of fractions up to this is rounding: equal scores have none."""


@dataclass(frozen=True)
class Difference:
    """Arm A minus arm B: of one task's metric, or of the mean over tasks.

    All values are fractions of the metric, variances their squares.

    Attributes:
        value: mean over A's seeds minus mean over B's.
        seeds: number of runs of A and of B.
        examples: number of examples, or of groups where examples are grouped; the smallest of the
            tasks.
        seed_variance_a, seed_variance_b: of each arm's mean over seeds; 0 with one seed.
        example_variance: of the mean difference over examples, with the seeds at hand.
        repeated_variance: what of ``example_variance`` is noise of the seeds.
        no_seed_effect: whether all runs of A, of B, predict the same.
        rule_of_three: 3 / examples, or its mean over tasks.
        seed_df: degrees of freedom of the seeds; None: those of two separate arms.
    """

    value: float
    seeds: tuple[int, int]
    examples: int
    seed_variance_a: float
    seed_variance_b: float
    example_variance: float
    repeated_variance: float
    no_seed_effect: tuple[bool, bool] = (False, False)
    rule_of_three: float = 0.0
    seed_df: int | None = None

    @property
    def one_seed(self) -> bool:
        """Whether nothing is known of other seeds: an arm has one run, or equal ones."""
        return min(self.seeds) < 2 or any(self.no_seed_effect)

    @property
    def seed_variance(self) -> float:
        """Of the difference, over new seeds."""
        return self.seed_variance_a + self.seed_variance_b

    @property
    def lasting_variance(self) -> float:
        """Example variance that no seed removes."""
        repeated = min(self.repeated_variance, self.seed_variance)
        return max(0.0, self.example_variance - repeated)

    @property
    def variance(self) -> float:
        """Of ``value``, over new seeds and new examples."""
        return self.seed_variance + self.lasting_variance

    @property
    def se(self) -> float:
        """Standard error of ``value``."""
        return sqrt(self.variance)

    @property
    def df(self) -> float:
        """Degrees of freedom of ``se``, by Welch and Satterthwaite."""
        if self.variance == 0:
            return inf
        parts = [(self.lasting_variance, self.examples - 1)]
        if self.seed_df is None:
            parts += [
                (self.seed_variance_a, self.seeds[0] - 1),
                (self.seed_variance_b, self.seeds[1] - 1),
            ]
        else:
            parts.append((self.seed_variance, self.seed_df))
        return self.variance**2 / sum(part**2 / free for part, free in parts if part)

    @property
    def p(self) -> float:
        """Two-sided p value of no difference."""
        return float(2 * stdtr(self.df, -abs(self.value) / self.se)) if self.variance else 1.0

    def half_width(self, level: float = 0.05) -> float:
        """Half the width of the interval that misses the true difference with chance ``level``.

        Where the arms agree on every example, the rule of three: 3 / examples.
        """
        if self.variance == 0:
            return self.rule_of_three
        return float(-stdtrit(self.df, level / 2)) * self.se

    def strict_half_width(self, level: float = 0.05) -> float:
        """``half_width`` for claims from few seeds: a quantile each for seeds and for examples.

        Howe, "Approximate confidence limits on the mean of X + Y where X and Y are two tabled
        independent random variables" (1974).
        """
        if self.variance == 0:
            return self.rule_of_three
        seeds = float(stdtrit(self.seed_df or sum(self.seeds) - 2, level / 2))
        examples = float(ndtri(level / 2))
        return sqrt(seeds**2 * self.seed_variance + examples**2 * self.lasting_variance)

    def examples_only_half_width(self, level: float = 0.05) -> float:
        """The same for these trained models alone: new examples, no new seeds."""
        if self.example_variance == 0:
            return self.rule_of_three
        return float(-ndtri(level / 2)) * sqrt(self.example_variance)


def difference(
    a: Runs, b: Runs, groups: ArrayLike | None = None, *, pair_seeds: bool = False
) -> Difference:
    """Compare two arms on one task.

    Args:
        a, b: the runs of each, scored on the same examples by the same metric.
        groups: examples of one source are no independent draws: the source of each, of any sortable
            type, shape ``(examples,)``; None: each is its own.
        pair_seeds: whether run s of A and run s of B share what a seed decides, initial weights and
            order of the data; to be chosen before looking at results, with 5 seeds or more.

    Raises:
        ValueError: the examples differ in number, all are of one group, or seeds are paired that
            are not equally many.
    """
    return mean_difference([(a, b)], [groups], pair_seeds=pair_seeds)


def mean_difference(
    tasks: Sequence[tuple[Runs, Runs]],
    groups: Sequence[ArrayLike | None] | None = None,
    *,
    pair_seeds: bool = False,
) -> Difference:
    """Compare two arms on the mean of the tasks' metrics; ``difference`` for several tasks.

    Run s of an arm is the same seed on every task: what the tasks of one model have in common is
    then inside the variance of the seeds.

    Args:
        tasks: the runs of A and of B on each task.
        groups: see ``difference``, of each task; None: every example is its own.
        pair_seeds: see ``difference``.

    Raises:
        ValueError: see ``difference``; or an arm has not equally many runs on all tasks.
    """
    parts = [
        _on_examples(a, b, source, pair_seeds)
        for (a, b), source in zip(tasks, groups or [None] * len(tasks), strict=True)
    ]
    scores_a, scores_b = (np.mean([pair[arm].scores for pair in tasks], axis=0) for arm in (0, 1))
    seeds = (len(scores_a), len(scores_b))
    if pair_seeds:
        variances = (_variance(scores_a - scores_b) / seeds[0], 0.0)
    else:
        variances = (_variance(scores_a) / seeds[0], _variance(scores_b) / seeds[1])
    k = len(tasks)
    return Difference(
        value=float(scores_a.mean() - scores_b.mean()),
        seeds=seeds,
        examples=min(part.examples for part in parts),
        seed_variance_a=variances[0],
        seed_variance_b=variances[1],
        example_variance=sum(part.variance for part in parts) / k**2,
        repeated_variance=sum(part.repeated for part in parts) / k**2,
        no_seed_effect=(
            all(a.identical for a, _ in tasks),
            all(b.identical for _, b in tasks),
        ),
        rule_of_three=sum(3 / part.examples for part in parts) / k,
        seed_df=seeds[0] - 1 if pair_seeds else None,
    )


@dataclass(frozen=True)
class _OnExamples:
    """Variances of one task's mean difference over its examples."""

    examples: int
    variance: float
    repeated: float


def _on_examples(a: Runs, b: Runs, groups: ArrayLike | None, pair_seeds: bool) -> _OnExamples:
    x, y = a.pseudo_values, b.pseudo_values
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"A has {x.shape[1]} examples, B has {y.shape[1]}")
    if pair_seeds and len(x) != len(y):
        raise ValueError("paired seeds must be equally many in both arms")
    n = x.shape[1]
    names, index = (None, None) if groups is None else np.unique(groups, return_inverse=True)
    sources = n if names is None else len(names)
    if sources < 2:
        raise ValueError("all examples are of one group: nothing is known of other groups")
    scale = sources / (sources - 1) / n**2

    def of_mean(values: np.ndarray) -> float:
        """Variance of the mean of values about 0 over examples, whose groups are drawn."""
        if index is not None:
            values = np.array([np.bincount(index, row, sources) for row in values])
        return _no_rounding((values**2).sum() * scale)

    apart = x.mean(axis=0) - y.mean(axis=0)
    pairs = [x - y] if pair_seeds else [x, y]
    return _OnExamples(
        examples=sources,
        variance=of_mean((apart - apart.mean())[None]),
        repeated=sum(
            of_mean(v - v.mean(1, keepdims=True) - v.mean(0) + v.mean()) / (len(v) * (len(v) - 1))
            for v in pairs
            if len(v) > 1
        ),
    )


def _variance(values: np.ndarray) -> float:
    """Sample variance; 0 of one value."""
    return _no_rounding(np.var(values, ddof=1)) if len(values) > 1 else 0.0


def _no_rounding(variance: np.floating) -> float:
    return float(variance) if variance > ROUNDING else 0.0
