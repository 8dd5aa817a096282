"""One word per comparison: better, worse, equivalent, undecided or unstable."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from scipy.stats import binomtest, fisher_exact

from orchestrator.analysis.intervals import Difference

FEW_SEEDS = 5
"""With fewer seeds in an arm, a claim also needs the strict width of ``Difference``."""


class Word(StrEnum):
    """The answer about arm A against arm B, for new seeds and new examples."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"
    UNSTABLE = "unstable"
    """Runs collapsed: they predict one class. A mean over them and others means little."""


@dataclass(frozen=True)
class Comparison:
    """What a verdict is made of.

    Attributes:
        difference: of all runs.
        margin: differences up to this are of no consequence, as a fraction; above 0.
        collapsed: number of runs of A and of B that predict one class.
        healthy: the difference of the others; None if no run collapsed, or none is left in an arm.
    """

    difference: Difference
    margin: float
    collapsed: tuple[int, int] = (0, 0)
    healthy: Difference | None = None


@dataclass(frozen=True)
class Verdict:
    """A comparison with its word.

    Attributes:
        comparison: what it is about.
        word: the answer.
        level: chance of an error that is allowed: .05, or less where one looks more than once.
        family: number of comparisons that share the level.
        p: of no difference, adjusted for the family by Holm's method.
        among_healthy: the verdict on the runs that did not collapse, if some did.
    """

    comparison: Comparison
    word: Word
    level: float
    family: int
    p: float
    among_healthy: "Verdict | None" = None

    @property
    def interval(self) -> tuple[float, float]:
        """For the difference, at 1 - level, not adjusted for the family."""
        return _around(self.comparison.difference, self.level)

    @property
    def equivalence_interval(self) -> tuple[float, float]:
        """The one that must lie within the margin, at 1 - 2 level."""
        return _around(self.comparison.difference, 2 * self.level)

    @property
    def one_seed(self) -> bool:
        """Whether nothing is known of other seeds."""
        return self.comparison.difference.one_seed

    @property
    def provisional(self) -> bool:
        """Whether an arm has two seeds alone: intervals from two cover 90 to 98 %, not 95."""
        return min(self.comparison.difference.seeds) == 2

    @property
    def below_margin(self) -> bool:
        """Whether a claimed difference is surely smaller than the margin."""
        claimed = self.word in (Word.BETTER, Word.WORSE)
        return claimed and _within(self.equivalence_interval, self.comparison.margin)

    @property
    def no_worse(self) -> bool:
        """Whether A is surely not worse than B by the margin, though more is undecided."""
        low, _ = self.equivalence_interval
        undecided = self.word is Word.UNDECIDED and not self.one_seed
        return undecided and low > -self.comparison.margin

    @property
    def lost_to_correction(self) -> bool:
        """Whether the interval excludes 0 and only the correction keeps the verdict back."""
        low, high = self.interval
        undecided = self.word in (Word.UNDECIDED, Word.EQUIVALENT) and not self.one_seed
        return undecided and (low > 0 or high < 0)


def verdicts(
    family: Sequence[Comparison], level: float = 0.05, planned: int | None = None
) -> list[Verdict]:
    """Judge comparisons together, so that the chance of a false "better" or "worse" among all of
    them is at most ``level``.

    Holm, "A simple sequentially rejective multiple test procedure" (1979); with fewer than five
    seeds also the strict width at ``level`` / comparisons. Equivalence by two one-sided tests
    (Schuirmann 1987) at the same level.

    Args:
        family: the comparisons; those of one seed count.
        level: chance of an error.
        planned: how many there will be, with those of which nothing is known yet; None: these.
    """
    size = max(len(family), planned or 0)
    p_values = [1.0 if c.difference.one_seed else c.difference.p for c in family]
    adjusted = holm([*p_values, *[1.0] * (size - len(family))])[: len(family)]
    return [_verdict(c, p, level, size) for c, p in zip(family, adjusted, strict=True)]


def _verdict(comparison: Comparison, p: float, level: float, family: int) -> Verdict:
    word = _word(comparison.difference, comparison.margin, p, level, family)
    among_healthy = None
    if any(comparison.collapsed):
        word = word if word is Word.WORSE else Word.UNSTABLE
        if (healthy := comparison.healthy) is not None:
            # Not chosen beforehand, so with the strictest share of the level.
            healthy_p = 1.0 if healthy.one_seed else min(1.0, healthy.p * family)
            among_healthy = Verdict(
                Comparison(healthy, comparison.margin),
                _word(healthy, comparison.margin, healthy_p, level, family),
                level,
                family,
                healthy_p,
            )
    return Verdict(comparison, word, level, family, p, among_healthy)


def _word(difference: Difference, margin: float, p: float, level: float, family: int) -> Word:
    if difference.one_seed:
        return Word.UNDECIDED
    claimed = p < level and (
        min(difference.seeds) >= FEW_SEEDS
        or abs(difference.value) > difference.strict_half_width(level / family)
    )
    if claimed:
        return Word.BETTER if difference.value > 0 else Word.WORSE
    if _within(_around(difference, 2 * level), margin):
        return Word.EQUIVALENT
    return Word.UNDECIDED


def _around(difference: Difference, level: float) -> tuple[float, float]:
    width = (
        difference.examples_only_half_width(level)
        if difference.one_seed
        else difference.half_width(level)
    )
    return difference.value - width, difference.value + width


def _within(interval: tuple[float, float], margin: float) -> bool:
    return -margin < interval[0] and interval[1] < margin


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values of several tests, in their order; see ``verdicts``."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    steps = np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * steps))
    return adjusted.tolist()


def best_of_half_width(best: Difference, arms: int, level: float = 0.05) -> float:
    """Half the width of the interval for an arm that was picked as the best of several."""
    return best.half_width(level / arms)


def collapse_rate(collapsed: int, runs: int) -> tuple[float, float]:
    """The 95 % interval of the rate at which runs collapse; of none, the upper bound is one-sided.

    Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the
    binomial" (1934).
    """
    if not collapsed:
        return 0.0, 1 - 0.05 ** (1 / runs)
    low, high = binomtest(collapsed, runs).proportion_ci(0.95, "exact")
    return float(low), float(high)


def collapse_p(collapsed: tuple[int, int], runs: tuple[int, int]) -> float:
    """The p value of equal rates of collapse in two arms.

    Fisher's exact test ("Statistical Methods for Research Workers", 1934).

    Args:
        collapsed, runs: of each arm.
    """
    table = [[hit, of - hit] for hit, of in zip(collapsed, runs, strict=True)]
    found: Any = fisher_exact(table)
    return float(found.pvalue)
