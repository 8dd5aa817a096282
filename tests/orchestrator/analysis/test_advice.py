"""Chances of a verdict: reference values, limits, and what is advised."""

from dataclasses import replace

import pytest

from orchestrator.analysis.advice import (
    MOST_SEEDS,
    advice,
    chance_of_verdict,
    margin_needs,
)
from orchestrator.analysis.intervals import Difference, difference
from tests.orchestrator.analysis.samples import T2, runs

T2_ACCURACY = difference(*runs("accuracy", T2))
NOISY = Difference(0.0, (5, 5), 1000, 0.0001, 0.0001, 0.00002, 0.0)
"""Standard error 0.0148, nearly all of it from the seeds."""


@pytest.mark.parametrize(
    ("seeds", "times", "chance"),
    [
        (5, 1, 0.060132),
        (10, 1, 0.236117),
        (30, 1, 0.365070),
        (3, 4, 0.030294),
        (10, 4, 0.443321),
    ],
)
def test_reference_values(seeds: int, times: float, chance: float) -> None:
    assert chance_of_verdict(T2_ACCURACY, 0.05, seeds, times) == pytest.approx(chance, abs=1e-6)


def test_more_seeds_where_they_are_enough() -> None:
    for value in (0.0, 0.03):
        made = replace(NOISY, value=value)
        told = advice(made, 0.03)
        assert told.seeds is not None
        assert told.chance >= 0.8 > chance_of_verdict(made, 0.03, 5 + told.seeds - 1)
        assert chance_of_verdict(made, 0.03, 5 + told.seeds) == told.chance


def test_more_examples_where_seeds_are_not() -> None:
    few = replace(NOISY, example_variance=0.0004, examples=200)
    told = advice(few, 0.04)
    assert told.seeds is None
    assert told.chance == chance_of_verdict(few, 0.04, MOST_SEEDS) < 0.5
    assert told.examples == 7 * 200
    assert chance_of_verdict(few, 0.04, 10, 8) >= 0.8 > chance_of_verdict(few, 0.04, 10, 6)


def test_seeds_that_may_settle_it_are_not_promised() -> None:
    told = advice(replace(NOISY, example_variance=0.0001), 0.03)
    assert (told.seeds, told.examples) == (None, None)
    assert 0.5 <= told.chance < 0.8


def test_a_wider_margin_where_nothing_settles_a_difference_at_the_margin() -> None:
    made = replace(NOISY, value=0.0005, example_variance=0.0004)
    told = advice(made, 0.0006)
    assert (told.seeds, told.examples) == (None, None)
    assert told.margin is not None
    assert told.margin_chance is not None
    assert told.margin_chance == chance_of_verdict(made, told.margin, 10)
    assert told.margin_chance >= 0.8 > chance_of_verdict(made, told.margin - 0.005, 10)


def test_no_margin_is_advised_where_none_is_enough() -> None:
    told = advice(Difference(0.0, (3, 3), 20, 0.1, 0.1, 0.1, 0.0), 0.02)
    assert (told.seeds, told.examples, told.margin) == (None, None, None)


def test_with_no_noise_at_all_it_is_settled() -> None:
    exact = Difference(0.01, (3, 3), 100, 0.0, 0.0, 0.0, 0.0)
    assert chance_of_verdict(exact, 0.02, 4) == 1.0
    examples_alone = replace(exact, example_variance=0.00001)
    assert 0 < chance_of_verdict(examples_alone, 0.02, 10) <= 1


def test_a_smaller_level_needs_more() -> None:
    made = replace(NOISY, value=0.03)
    assert chance_of_verdict(made, 0.02, 10, level=0.025) < chance_of_verdict(made, 0.02, 10)


def test_paired_seeds_have_one_variance() -> None:
    paired = replace(NOISY, seed_variance_a=0.0002, seed_variance_b=0.0, seed_df=4)
    # Fewer degrees of freedom than two arms have.
    assert chance_of_verdict(paired, 0.02, 8) < chance_of_verdict(NOISY, 0.02, 8)


def test_the_margin_that_examples_allow() -> None:
    assert margin_needs(NOISY) == pytest.approx(2.926 * 0.00002**0.5, rel=1e-3)


def test_refused() -> None:
    with pytest.raises(ValueError, match="one seed"):
        advice(replace(NOISY, seeds=(1, 5)), 0.02)
    with pytest.raises(ValueError, match="fewer than 5"):
        chance_of_verdict(NOISY, 0.02, 3)
