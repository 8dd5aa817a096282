"""The trials of a search in a live view: suggested ones, and placeholders for those to come."""

import io

import pytest
from rich.console import Console

from orchestrator.monitor.forecast import SearchedGroup, SearchForecast
from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.state import GridProgress
from trainables.results.status import TrialStatus

GROUPS = [SearchedGroup("a", "large", 1000), SearchedGroup("b", "small", 500)]


@pytest.fixture
def view() -> LiveView:
    return LiveView(GridProgress([]), Console(file=io.StringIO()), now=lambda: 1.0)


def expected_examples(view: LiveView) -> dict[str, int]:
    return {key: trial.expected.examples for key, trial in view.progress.trials.items()}


def report(examples: int) -> dict:
    return {
        "epoch": 1.0, "epochs": 1, "examples": examples, "loss": 0.5, "headline": 0.5,
        "headline_name": "macro", "examples_per_second": 1.0,
    }  # fmt: skip


def test_groups_get_their_trials_in_turn_up_to_the_most_of_all(view: LiveView) -> None:
    SearchForecast(view).describe(GROUPS, trials=2, max_trials=3)
    titles = [trial.expected.title for trial in view.progress.trials.values()]
    assert titles == ["a #0", "b #0", "a #1"]
    assert list(expected_examples(view).values()) == [1000, 500, 1000]
    assert [group.name for group in view.progress.groups()] == ["a", "b"]


def test_a_trial_takes_the_place_of_its_placeholder(view: LiveView) -> None:
    forecast = SearchForecast(view)
    forecast.describe(GROUPS, trials=2)
    forecast.add("key", ("a", 1, 0), 900)
    assert expected_examples(view) == {"a#0/0": 1000, "b#0/0": 500, "b#1/0": 500, "key": 900}
    assert forecast.keys == set(view.progress.trials)
    trial = view.progress.trials["key"].expected
    assert (trial.title, trial.model, trial.group) == ("a #1", "large", "a")


def test_trials_of_an_earlier_command_are_no_longer_to_come(view: LiveView) -> None:
    forecast = SearchForecast(view)
    forecast.describe(GROUPS, trials=2, started=[("a", 0, 0), ("b", 0, 0)])
    assert list(view.progress.trials) == ["a#1/0", "b#1/0"]
    forecast.add("resumed", ("a", 0, 0), 1000)
    assert list(view.progress.trials) == ["a#1/0", "b#1/0", "resumed"]


def test_a_search_that_was_extended_has_more_to_come(view: LiveView) -> None:
    forecast = SearchForecast(view)
    forecast.describe(GROUPS[:1], trials=2)
    forecast.add("key", ("a", 0, 0), 1000)
    forecast.describe(GROUPS[:1], trials=3)
    assert list(view.progress.trials) == ["a#1/0", "key", "a#2/0"]


def test_segments_are_counted_one_by_one(view: LiveView) -> None:
    forecast = SearchForecast(view)
    forecast.describe(GROUPS[:1], trials=2, segments=4)
    assert list(expected_examples(view).values()) == [250] * 8
    forecast.add("key", ("a", 1, 2), 1000)
    segment = view.progress.trials["key"].expected
    assert (segment.title, segment.examples, segment.before) == ("a #1, part 3", 250, 500)


def test_an_earlier_generation_of_a_group_comes_no_more(view: LiveView) -> None:
    forecast = SearchForecast(view)
    started = [("a", 0, 0), ("a", 1, 0), ("b", 0, 0), ("b", 1, 0)]
    forecast.describe(GROUPS, trials=2, segments=3, started=started)
    forecast.add("later", ("a", 0, 1), 1000)
    assert "a#1/1" in view.progress.trials, "of the same generation"
    # Member 1 of group a had nothing to go on from.
    forecast.add("last", ("a", 0, 2), 1000)
    assert set(view.progress.trials) == {
        "later", "last", "a#1/2", "b#0/1", "b#0/2", "b#1/1", "b#1/2",
    }  # fmt: skip


def test_trials_to_come_are_assumed_to_take_what_ended_ones_took(view: LiveView) -> None:
    forecast = SearchForecast(view)
    forecast.describe(GROUPS, trials=2)
    for key, slot, examples, state in (
        ("stopped", ("a", 0, 0), 100, TrialStatus.STOPPED),
        ("failed", ("b", 0, 0), 1, TrialStatus.FAILED),
    ):
        forecast.add(key, slot, 1000)
        view.start(key)
        view.update(key, report(examples))
        view.finish(key, state)
    forecast.rescale()
    examples = expected_examples(view)
    assert (examples["a#1/0"], examples["b#1/0"]) == (100, 50), "a tenth; failures do not count"
    assert (examples["stopped"], examples["failed"]) == (1000, 1000)
    assert forecast.keys == set(view.progress.trials)


def test_nothing_is_to_come_of_a_search_that_is_over(view: LiveView) -> None:
    forecast = SearchForecast(view)
    forecast.describe(GROUPS, trials=2)
    forecast.add("key", ("a", 0, 0), 1000)
    forecast.clear()
    assert set(view.progress.trials) == forecast.keys == {"key"}
