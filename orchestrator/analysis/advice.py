"""What would settle an undecided comparison: more seeds, or more examples, and with what chance.

More seeds shrink the variance of the seeds alone, and the difference itself then moves by their
noise alone, so that the chance of a verdict can be computed. How often it comes true is measured by
``python -m benchmarks.calibration``.
"""

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from scipy.special import chdtri, ndtr, ndtri, stdtrit

from orchestrator.analysis.intervals import Difference

PROMISED = 0.8
"""The chance of a verdict with which a number is named."""
MOST_SEEDS = 30
MORE_EXAMPLES = (2, 3, 4, 6, 8, 12, 16, 24, 32)
"""How many times the examples are tried."""
SEEDS_WITH_EXAMPLES = 10
"""The least number of seeds that go with more examples, or with a wider margin."""
MARGIN_STEP = 0.005
WIDEST_MARGIN = 0.5
QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""At which the variance of the seeds, itself estimated from few, is taken."""


@dataclass(frozen=True)
class Advice:
    """What would settle a comparison.

    Attributes:
        seeds: how many more per arm; None if no number up to ``MOST_SEEDS`` is enough.
        examples: how many more test examples, together with ``SEEDS_WITH_EXAMPLES`` seeds, where
            seeds alone are unlikely to settle it; None if that is not so, or none is enough.
        margin: the narrowest one that ``SEEDS_WITH_EXAMPLES`` seeds would probably settle it with,
            where neither seeds nor examples are enough; None if that is not so, or none is enough.
        chance: of a verdict: with the advised number of seeds, else with ``MOST_SEEDS``.
        margin_chance: the same with ``margin`` and ``SEEDS_WITH_EXAMPLES`` seeds.
    """

    seeds: int | None
    examples: int | None
    chance: float
    margin: float | None = None
    margin_chance: float | None = None


def advice(difference: Difference, margin: float, level: float = 0.05) -> Advice:
    """Find the least seeds, or examples, or else margin, that probably settles a comparison.

    Args:
        difference: of two or more seeds in both arms.
        margin: see ``orchestrator.analysis.verdicts``.
        level: chance of an error.

    Raises:
        ValueError: an arm has one seed.
    """
    most = max(difference.seeds)
    for seeds in range(most + 1, MOST_SEEDS + 1):
        chance = chance_of_verdict(difference, margin, seeds, level=level)
        if chance >= PROMISED:
            return Advice(seeds - most, None, chance)
    limit = max(most, MOST_SEEDS)
    chance = chance_of_verdict(difference, margin, limit, level=level)
    if chance < 0.5:
        seeds = max(most, SEEDS_WITH_EXAMPLES)
        for times in MORE_EXAMPLES:
            if chance_of_verdict(difference, margin, seeds, times, level) >= PROMISED:
                return Advice(None, (times - 1) * difference.examples, chance)
        first = int(margin / MARGIN_STEP + 1e-9) + 1
        for step in range(first, round(WIDEST_MARGIN / MARGIN_STEP) + 1):
            wider = chance_of_verdict(difference, step * MARGIN_STEP, seeds, level=level)
            if wider >= PROMISED:
                return Advice(None, None, chance, step * MARGIN_STEP, wider)
    return Advice(None, None, chance)


def chance_of_verdict(
    difference: Difference, margin: float, seeds: int, times: float = 1.0, level: float = 0.05
) -> float:
    """The chance that a comparison ends as better, worse or equivalent.

    Args:
        difference: as measured so far.
        margin: see ``orchestrator.analysis.verdicts``.
        seeds: number of seeds per arm then, at least as many as now.
        times: number of examples then, in multiples of those now.
        level: chance of an error.

    Raises:
        ValueError: an arm has one seed, or would have fewer than now.
    """
    if difference.one_seed:
        raise ValueError("one seed says nothing of the noise of seeds")
    if seeds < max(difference.seeds):
        raise ValueError(f"{seeds} seeds are fewer than {max(difference.seeds)}")
    own = (difference.seed_variance_a, difference.seed_variance_b)
    total = sum(own)
    free = [(variance, n - 1) for variance, n in zip(own, difference.seeds, strict=True)]
    if difference.seed_df is not None:
        free = [(total, difference.seed_df)]
    nu = total**2 / sum(v**2 / df for v, df in free) if total else inf
    factors = [nu / chdtri(nu, 1 - q) for q in QUANTILES] if total else [1.0]
    chances = [
        _chance(difference, margin, seeds, times, level, float(factor)) for factor in factors
    ]
    return float(np.mean(chances))


def _chance(
    now: Difference, margin: float, seeds: int, times: float, level: float, factor: float
) -> float:
    """The same if the variance of the seeds is ``factor`` times what was measured."""
    old = [factor * now.seed_variance_a, factor * now.seed_variance_b]
    new = [variance * n / seeds for variance, n in zip(old, now.seeds, strict=True)]
    examples = now.lasting_variance / times
    variance = sum(new) + examples
    if not variance:
        return 1.0
    free = [(examples, now.examples * times - 1)]
    free += [(part, seeds - 1) for part in (new if now.seed_df is None else [sum(new)])]
    df = variance**2 / sum(part**2 / free_ for part, free_ in free if part)
    full, equivalence = (float(-stdtrit(df, a)) * sqrt(variance) for a in (level / 2, level))
    moved = sum(v * (1 - n / seeds) for v, n in zip(old, now.seeds, strict=True))
    noise = sqrt(moved + now.lasting_variance * (1 - 1 / times))
    return (
        _outside(now.value, noise, full)
        + 1
        - _outside(now.value, noise, min(full, max(0.0, margin - equivalence)))
    )


def _outside(mean: float, sd: float, bound: float) -> float:
    """The chance that a normal number lies outside of -bound to +bound."""
    if not sd:
        return float(abs(mean) > bound)
    return float(ndtr((mean - bound) / sd) + ndtr((-bound - mean) / sd))


def margin_needs(difference: Difference) -> float:
    """The smallest margin within which many seeds would show equal arms to be equivalent with a
    chance of 80 %: the noise of the examples allows no smaller one."""
    return float(-ndtri(0.05) - ndtri(0.1)) * sqrt(difference.lasting_variance)
