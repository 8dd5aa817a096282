"""What a search cost and found, on summaries small enough to add up by hand."""

import math

import pytest

from orchestrator.search.summary import Spent
from tests.helpers.searches import FULL, group, search, tried


def test_what_trials_cost_is_added_up_and_nothing_is_dropped() -> None:
    spent = group(
        [
            tried(0),
            tried(1, 0.4, "stopped", 1500),
            tried(2, math.nan, "diverged", 500),
            tried(3, None, "failed", 0),
            tried(4, 0.3, "unfinished", 1000),
        ]
    ).spent
    assert spent.trials == sum(spent.by_status.values()) == 5
    assert all(n == 1 for n in spent.by_status.values())
    assert (spent.examples, spent.full, spent.seconds) == (9000, 5 * FULL, 180.0)
    assert spent.share == 0.3
    assert spent.saved == FULL - 1500, "a failure saves nothing"
    assert spent.share_saved == pytest.approx(0.15)


def test_arms_and_the_whole_search_are_the_sum_of_their_groups() -> None:
    one = group([tried(0)], arm="single_task", task="cola")
    two = group([tried(0, status="stopped", examples=600)], arm="single_task", task="sst2")
    three = group([tried(0)], arm="shared_encoder")
    whole = search(one, two, three)
    assert whole.arms == {"single_task": (one, two), "shared_encoder": (three,)}
    assert whole.spent == Spent.of([*one.tried, *two.tried, *three.tried])
    assert whole.spent.examples == 2 * FULL + 600


def test_nothing_tried_has_no_shares_and_no_best() -> None:
    empty = group()
    assert (empty.spent.share, empty.spent.share_saved, empty.best) == (None, None, None)
    assert empty.best_so_far == ()
    assert empty.choice is None


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, None])
def test_a_score_that_is_no_number_never_counts(score: float | None) -> None:
    one = group([tried(0, 0.5), tried(1, score), tried(2, rungs=[(10, score or math.nan)])])
    assert one.best == 0.5
    assert all(math.isfinite(best) for _, best in one.best_so_far)


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_what_a_diverged_or_failed_trial_measured_never_wins(status: str) -> None:
    one = group([tried(0, 0.5), tried(1, 0.9, status, rungs=[(10, 0.9)])])
    assert one.best == 0.5
    assert max(best for _, best in one.best_so_far) == 0.5


def test_best_so_far_rises_with_the_examples_of_all_trials() -> None:
    one = group(
        [
            tried(0, 0.6, examples=600, rungs=[(200, 0.3), (600, 0.6)]),
            tried(1, math.nan, "diverged", 100, rungs=[(50, 0.99)]),
            tried(2, 0.5, "stopped", 200, rungs=[(200, 0.5)]),
            tried(3, 0.7, examples=600, rungs=[(200, 0.65), (600, 0.7)]),
            tried(4, 0.7, examples=600, rungs=[(600, 0.7)]),
        ]
    )
    assert one.best_so_far == (
        (200, 0.3),
        (600, 0.6),
        (600 + 100 + 200 + 200, 0.65),
        (600 + 100 + 200 + 600, 0.7),
        (2100, 0.7),
    )


def test_ties_are_the_finished_trials_with_the_same_score() -> None:
    one = group(
        [tried(0, 0.5), tried(1, 0.5), tried(2, 0.5, "stopped"), tried(3, 0.4)],
        chosen=0,
    )
    assert [other.index for other in one.tied] == [1]


def test_parameters_are_those_of_any_trial_in_order_of_appearance() -> None:
    one = group([tried(0, settings={"b": 1}), tried(1, settings={"a": 2, "b": 1})])
    assert one.parameters == ("b", "a")
