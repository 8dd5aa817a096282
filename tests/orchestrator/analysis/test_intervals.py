"""The interval of a difference: reference values, limits that are classical tests, invariances."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_ind, ttest_rel

from orchestrator.analysis.intervals import Difference, difference, mean_difference
from orchestrator.analysis.pseudo_values import Runs, of_classes, of_numbers
from tests.orchestrator.analysis.samples import T1, T2, T3, runs

ACCURACY = {name: runs("accuracy", sample) for name, sample in {"1": T1, "2": T2, "3": T3}.items()}
MATTHEWS = {name: runs("matthews", sample) for name, sample in {"1": T1, "2": T2}.items()}
REFERENCE = {
    "t1 accuracy": (
        difference(*ACCURACY["1"]),
        (0.116667, 0.005278, 0.003611, 0.001915, 0.004211, 0),
        (0.094281, 3.864151, 0.285798, 0.265435, 0.203040),
    ),
    "t1 matthews": (
        difference(*MATTHEWS["1"]),
        (0.233413, 0.023111, 0.012643, 0.009209, 0.019470, 0),
        (0.189087, 3.684149, 0.289936, 0.543226, 0.413242),
    ),
    "t2 accuracy": (
        difference(*ACCURACY["2"]),
        (0.104167, 0.003038, 0.003906, 0.006221, 0.002778, 0.003443),
        (0.101920, 8.278017, 0.335699, 0.233662, 0.188704),
    ),
    "t2 matthews": (
        difference(*MATTHEWS["2"]),
        (0.200801, 0.009069, 0.015217, 0.022183, 0.010333, 0.011850),
        (0.190096, 7.853843, 0.322230, 0.439785, 0.354347),
    ),
    "macro of t1 matthews and t2 accuracy": (
        mean_difference([MATTHEWS["1"], ACCURACY["2"]]),
        (0.168790, 0.010712, 0.007501, None, None, 0),
        (0.134956, 3.879411, 0.281165, 0.379335, 0.290293),
    ),
    "t3 accuracy, 3 against 2 seeds": (
        difference(*ACCURACY["3"]),
        (0.100000, 0, 0, 0.001813, None, 0.001813),
        (0.042578, 19, 0.029815, 0.089116, 0.073623),
    ),
    "t3 against itself": (
        difference(ACCURACY["3"][0], ACCURACY["3"][0]),
        (0, 0, 0, 0, None, 0),
        (0, float("inf"), 1, 0.15, 0.15),
    ),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_reference_values(name: str) -> None:
    made, parts, rest = REFERENCE[name]
    values = (
        made.value,
        made.seed_variance_a,
        made.seed_variance_b,
        made.example_variance,
        made.repeated_variance,
        made.lasting_variance,
    )
    for value, wanted in zip(values, parts, strict=True):
        assert wanted is None or value == pytest.approx(wanted, abs=1e-6)
    found = (made.se, made.df, made.p, made.half_width(), made.half_width(0.1))
    assert found == pytest.approx(rest, abs=1e-6)


def test_without_variance_of_examples_it_is_welchs_t_test() -> None:
    a, b = ACCURACY["1"]
    made = difference(a, b)
    assert made.lasting_variance == 0
    welch: Any = ttest_ind(a.scores, b.scores, equal_var=False)
    assert (made.p, made.df) == pytest.approx((welch.pvalue, welch.df))
    low, high = welch.confidence_interval(0.95)
    assert made.half_width() == pytest.approx((high - low) / 2)


def test_without_variance_of_seeds_it_is_the_paired_t_test() -> None:
    a, b = ACCURACY["3"]
    made = difference(a, b)
    paired: Any = ttest_rel(a.pseudo_values.mean(0), b.pseudo_values.mean(0))
    assert (made.p, made.df) == pytest.approx((paired.pvalue, paired.df))
    low, high = paired.confidence_interval(0.95)
    assert made.half_width() == pytest.approx((high - low) / 2)


def test_arms_that_agree_on_every_example_follow_the_rule_of_three() -> None:
    pairs = [(arm, arm) for arm in (ACCURACY["3"][0], ACCURACY["3"][1].only([0]))]
    made = mean_difference([*pairs[:1], *pairs[:1]])
    assert (made.value, made.p, made.half_width(), made.half_width(0.1)) == (0, 1, 0.15, 0.15)


def random_runs(rng: np.random.Generator, seeds: int, examples: int) -> Runs:
    labels = np.arange(examples) % 2
    wrong = rng.random((seeds, examples)) < 0.3
    return of_classes("matthews", labels, np.where(wrong, 1 - labels, labels), 2)


def same(made: Difference, other: Difference) -> bool:
    fields = ("value", "se", "df", "p", "example_variance", "repeated_variance")
    return [getattr(made, f) for f in fields] == pytest.approx(
        [getattr(other, f) for f in fields], rel=1e-9
    )


def test_the_order_of_seeds_and_examples_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    a, b = random_runs(rng, 4, 60), random_runs(rng, 3, 60)
    order = rng.permutation(60)
    a_moved, b_moved = (
        Runs(r.scores[s], r.pseudo_values[s][:, order], r.predictions[s][:, order])
        for r, s in ((a, rng.permutation(4)), (b, rng.permutation(3)))
    )
    assert same(difference(a_moved, b_moved), difference(a, b))


def test_swapped_arms_change_the_sign_alone() -> None:
    rng = np.random.default_rng(2)
    a, b = random_runs(rng, 5, 40), random_runs(rng, 3, 40)
    there, back = difference(a, b), difference(b, a)
    assert there.value == -back.value
    assert (there.se, there.df) == pytest.approx((back.se, back.df))


def test_groups_of_one_change_nothing_and_copies_are_no_new_examples() -> None:
    rng = np.random.default_rng(3)
    labels = np.arange(40) % 2
    predictions = [np.where(rng.random((3, 40)) < p, 1 - labels, labels) for p in (0.1, 0.3)]
    a, b = (of_classes("accuracy", labels, p, 2) for p in predictions)
    single = difference(a, b)
    assert same(difference(a, b, np.arange(40)), single)
    a_twice, b_twice = (
        of_classes("accuracy", np.repeat(labels, 2), np.repeat(p, 2, axis=1), 2)
        for p in predictions
    )
    assert difference(a_twice, b_twice).example_variance < 0.6 * single.example_variance
    names = np.repeat([f"writer {i}" for i in range(40)], 2)
    grouped = difference(a_twice, b_twice, names)
    assert same(grouped, single)
    assert grouped.examples == 40


def test_paired_seeds_are_differenced() -> None:
    rng = np.random.default_rng(4)
    a, b = random_runs(rng, 6, 80), random_runs(rng, 6, 80)
    made = difference(a, b, pair_seeds=True)
    apart = a.scores - b.scores
    assert made.seed_variance == pytest.approx(np.var(apart, ddof=1) / 6)
    only_seeds = replace(made, example_variance=0.0)
    assert only_seeds.df == pytest.approx(5)
    x = a.pseudo_values - b.pseudo_values
    rest = x - x.mean(0) - x.mean(1, keepdims=True) + x.mean()
    assert made.repeated_variance == pytest.approx((rest**2).sum() / (5 * 79 * 6 * 80))
    with pytest.raises(ValueError, match="equally many"):
        difference(a, b.only([0, 1, 2]), pair_seeds=True)


def test_the_mean_of_equal_tasks() -> None:
    """Examples of several tasks are independent draws, seeds of one model are not."""
    rng = np.random.default_rng(5)
    a, b = random_runs(rng, 3, 50), random_runs(rng, 3, 50)
    one, both = difference(a, b), mean_difference([(a, b), (a, b)])
    assert both.value == one.value
    assert both.seed_variance == pytest.approx(one.seed_variance)
    assert both.example_variance == pytest.approx(one.example_variance / 2)


def test_one_seed_tells_of_these_models_alone() -> None:
    rng = np.random.default_rng(6)
    a, b = random_runs(rng, 3, 50), random_runs(rng, 3, 50)
    assert not difference(a, b).one_seed
    made = difference(a.only([0]), b)
    assert made.one_seed
    assert made.examples_only_half_width() == pytest.approx(1.959964 * made.example_variance**0.5)
    same_runs = a.only([1, 1, 1])
    assert difference(b, same_runs).no_seed_effect == (False, True)
    assert difference(b, same_runs).one_seed
    # On another task the seed had an effect, so it was set.
    assert not mean_difference([(b, same_runs), (b, a)]).one_seed


def test_the_strict_width_is_wider_where_seeds_are_few() -> None:
    for seeds in (2, 3, 4):
        rng = np.random.default_rng(seeds)
        made = difference(random_runs(rng, seeds, 90), random_runs(rng, seeds, 90))
        assert made.strict_half_width(0.05 / 3) > made.strict_half_width(0.05) > 0
    same_scores = difference(*ACCURACY["3"])
    assert same_scores.strict_half_width() == pytest.approx(1.959964 * same_scores.se)


def test_regressions_are_compared_alike() -> None:
    rng = np.random.default_rng(7)
    targets = rng.normal(size=100)
    good, bad = (targets + scale * rng.normal(size=(4, 100)) for scale in (0.2, 1.0))
    for metric in ("pearson", "spearman"):
        made = difference(of_numbers(metric, targets, good), of_numbers(metric, targets, bad))
        assert made.value - made.half_width() > 0


def test_refused() -> None:
    a, b = ACCURACY["1"]
    with pytest.raises(ValueError, match="A has 20 examples, B has 16"):
        difference(a, ACCURACY["2"][0])
    with pytest.raises(ValueError, match="one group"):
        difference(a, b, ["same"] * 20)
