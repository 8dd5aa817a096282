"""What a comparison could have seen: limits, known values, and simulated grids."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import nct, t

from orchestrator.analysis.intervals import Difference
from orchestrator.analysis.power import chance_of_equivalence, detectable

EXACT = Difference(0.0, (10**7, 10**7), 10**7, 0.00005, 0.00005, 0.0, 0.0)
"""Standard error 0.01, known as good as exactly."""
FIVE = replace(EXACT, seeds=(5, 5))
"""The same from 5 seeds in both arms: 8 degrees of freedom."""


def test_many_seeds_are_the_normal_distribution() -> None:
    assert detectable(EXACT) == pytest.approx(0.01 * (ndtri(0.975) + ndtri(0.8)), rel=1e-4)
    assert detectable(EXACT, family=3, chance=0.9) == pytest.approx(
        0.01 * (ndtri(1 - 0.025 / 3) + ndtri(0.9)), rel=1e-4
    )
    for margin in (0.02, 0.03):
        wanted = 2 * ndtr(margin / 0.01 - ndtri(0.95)) - 1
        assert chance_of_equivalence(EXACT, margin) == pytest.approx(wanted, rel=1e-4)


def test_welch_s_t_test_of_five_and_five() -> None:
    """R: ``power.t.test(n=5, sd=1, power=.8)`` gives delta 2.0244."""
    sd = 0.00005**0.5 * 5**0.5
    assert FIVE.df == pytest.approx(8)
    assert detectable(FIVE) / sd == pytest.approx(2.0244, abs=1e-3)
    assert nct.sf(t.ppf(0.975, 8), 8, detectable(FIVE) / 0.01) == pytest.approx(0.8)


@pytest.mark.parametrize("margin", [0.025, 0.03, 0.04, 0.1])
def test_equal_arms_end_as_equivalent_as_often_as_it_says(margin: float) -> None:
    rng = np.random.default_rng(0)
    found = 0.01 * rng.standard_normal(400_000)
    se = 0.01 * np.sqrt(rng.chisquare(8, len(found)) / 8)
    equivalent = np.abs(found) + t.ppf(0.95, 8) * se < margin
    claimed = np.abs(found) > t.ppf(1 - 0.025 / 3, 8) * se
    wanted = float((equivalent & ~claimed).mean())
    assert chance_of_equivalence(FIVE, margin, family=3) == pytest.approx(wanted, abs=0.015)


def test_small_margins_have_no_chance_and_none_is_negative() -> None:
    assert chance_of_equivalence(FIVE, 0.001) == 0.0


def test_few_seeds_need_more_than_the_interval_says() -> None:
    three = Difference(0.0, (3, 3), 1000, 0.00001, 0.00001, 0.0001, 0.0)
    width = three.strict_half_width(0.05 / 3)
    assert width > three.half_width(0.05 / 3)
    assert detectable(three, family=3, chance=0.5) == pytest.approx(width, rel=0.05)


def test_what_many_examples_and_seeds_find_is_smaller() -> None:
    noisy = replace(FIVE, example_variance=0.0001)
    assert detectable(noisy) > detectable(FIVE)
    assert chance_of_equivalence(noisy, 0.04) < chance_of_equivalence(FIVE, 0.04)


@pytest.mark.parametrize(
    "unknown", [replace(FIVE, seeds=(1, 5)), replace(FIVE, seed_variance_a=0, seed_variance_b=0)]
)
def test_refused(unknown: Difference) -> None:
    with pytest.raises(ValueError, match="nothing is known"):
        detectable(unknown)
    with pytest.raises(ValueError, match="nothing is known"):
        chance_of_equivalence(unknown, 0.02)
