"""One word per comparison, from differences with known intervals."""

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.analysis.intervals import Difference
from orchestrator.analysis.verdicts import (
    Comparison,
    Verdict,
    Word,
    best_of_half_width,
    collapse_p,
    collapse_rate,
    holm,
    verdicts,
)

EXACT = Difference(0.0, (10, 10), 1000, 0.0, 0.0, 0.0001, 0.0)
"""Standard error 0.01 from examples alone: half-width 0.0196 (0.0165 at 90 %)."""


def judged(value: float, margin: float = 0.02, **changes: Any) -> Verdict:
    made = replace(EXACT, value=value, **changes)
    return verdicts([Comparison(made, margin)])[0]


@pytest.mark.parametrize(
    ("value", "margin", "word", "below_margin", "no_worse"),
    [
        (0.030, 0.02, Word.BETTER, False, False),
        (-0.030, 0.02, Word.WORSE, False, False),
        (0.030, 0.05, Word.BETTER, True, False),
        (-0.030, 0.05, Word.WORSE, True, False),
        (0.003, 0.02, Word.EQUIVALENT, False, False),
        (-0.003, 0.02, Word.EQUIVALENT, False, False),
        (0.010, 0.02, Word.UNDECIDED, False, True),
        (-0.010, 0.02, Word.UNDECIDED, False, False),
    ],
)
def test_words(value: float, margin: float, word: Word, below_margin: bool, no_worse: bool) -> None:
    made = judged(value, margin)
    assert (made.word, made.below_margin, made.no_worse) == (word, below_margin, no_worse)
    low, high = made.interval
    assert (low + high) / 2 == pytest.approx(value)
    assert high - low == pytest.approx(2 * 0.0196, abs=1e-4)


@pytest.mark.parametrize(
    "changes", [{"seeds": (1, 5)}, {"seeds": (5, 1)}, {"no_seed_effect": (True, False)}]
)
def test_one_seed_decides_nothing(changes: dict[str, Any]) -> None:
    made = judged(0.5, **changes)
    assert (made.word, made.one_seed, made.p) == (Word.UNDECIDED, True, 1.0)
    assert made.interval == pytest.approx((0.5 - 0.0196, 0.5 + 0.0196), abs=1e-4)
    assert not made.no_worse


def test_two_seeds_are_provisional() -> None:
    assert judged(0.03, seeds=(2, 5)).provisional
    assert not judged(0.03, seeds=(3, 3)).provisional


def test_the_correction_is_holms() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.02]) == [0.02]
    family = [Comparison(replace(EXACT, value=value), 0.001) for value in (0.04, 0.022, 0.0)]
    first, second, third = verdicts(family)
    assert (first.word, second.word, third.word) == (Word.BETTER, Word.UNDECIDED, Word.UNDECIDED)
    assert second.lost_to_correction
    assert not first.lost_to_correction
    assert not third.lost_to_correction
    # A comparison of one seed was planned too: it counts.
    family = [
        Comparison(replace(EXACT, value=0.022), 0.001),
        Comparison(replace(EXACT, value=0.5, seeds=(1, 1)), 0.001),
    ]
    assert verdicts(family)[0].word is Word.UNDECIDED


def test_few_seeds_need_the_strict_width() -> None:
    made = Difference(0.0, (3, 3), 1000, 0.00005, 0.00005, 0.0001, 0.0)
    between = (made.half_width() + made.strict_half_width()) / 2
    assert made.half_width() < between < made.strict_half_width()
    value = replace(made, value=between)
    assert verdicts([Comparison(value, 0.001)])[0].word is Word.UNDECIDED
    assert verdicts([Comparison(value, 0.001)])[0].lost_to_correction
    assert verdicts([Comparison(replace(value, seeds=(5, 5)), 0.001)])[0].word is Word.BETTER


def test_a_claim_from_few_seeds_never_contradicts_its_interval() -> None:
    """One noisy arm: the strict width has more degrees of freedom than the interval."""
    made = Difference(0.0, (3, 3), 1000, 0.0001, 0.0, 0.0, 0.0)
    assert made.strict_half_width() < made.half_width()
    value = replace(made, value=(made.half_width() + made.strict_half_width()) / 2)
    assert verdicts([Comparison(value, 0.001)])[0].word is Word.UNDECIDED


def test_a_look_has_its_own_level() -> None:
    comparison = Comparison(replace(EXACT, value=0.021), 0.05)
    assert verdicts([comparison])[0].word is Word.BETTER
    assert verdicts([comparison], level=0.025)[0].word is Word.EQUIVALENT
    near = Comparison(replace(EXACT, value=0.003), 0.02)
    assert verdicts([near])[0].word is Word.EQUIVALENT
    assert verdicts([near], level=0.025)[0].word is Word.UNDECIDED


def test_collapsed_runs_make_it_unstable() -> None:
    healthy = replace(EXACT, value=0.03, seeds=(9, 10))
    collapsed = Comparison(replace(EXACT, value=0.01), 0.02, (1, 0), healthy)
    made = verdicts([collapsed])[0]
    assert made.word is Word.UNSTABLE
    assert made.among_healthy is not None
    assert made.among_healthy.word is Word.BETTER
    assert (made.p, made.among_healthy.p) == (collapsed.difference.p, healthy.p)
    assert verdicts([replace(collapsed, difference=replace(EXACT, value=0.5))])[0].word is (
        Word.UNSTABLE
    )
    assert verdicts([replace(collapsed, difference=replace(EXACT, value=-0.5))])[0].word is (
        Word.WORSE
    )
    nothing_left = verdicts([replace(collapsed, healthy=None)])[0]
    assert (nothing_left.word, nothing_left.among_healthy) == (Word.UNSTABLE, None)


def test_the_rate_of_collapses() -> None:
    assert collapse_rate(1, 5) == pytest.approx((0.00505, 0.71642), abs=1e-5)
    for runs, bound in ((3, 0.63), (5, 0.45), (10, 0.26)):
        assert collapse_rate(0, runs) == pytest.approx((0, bound), abs=0.005)


def test_rates_of_collapse_are_compared_by_fishers_exact_test() -> None:
    """Of 5 and 5 runs there are 252 ways to choose 5, of which two are the most extreme."""
    assert collapse_p((5, 0), (5, 5)) == pytest.approx(2 / 252)
    assert collapse_p((0, 5), (5, 5)) == pytest.approx(2 / 252)
    assert collapse_p((1, 0), (5, 5)) == pytest.approx(1.0)
    assert collapse_p((2, 1), (4, 2)) == pytest.approx(1.0)


def test_the_best_of_several_has_a_wider_interval() -> None:
    widths = [best_of_half_width(EXACT, arms) for arms in (1, 2, 5)]
    assert widths == sorted(widths)
    assert widths[0] == EXACT.half_width()
    assert widths[2] == pytest.approx(2.5808 * 0.01, abs=1e-6)
