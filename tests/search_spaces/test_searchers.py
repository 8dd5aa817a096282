"""Proposals: repeatable, inside the space, alike for all groups, and what a method is for."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from search_spaces.searchers import SEARCHERS, Observation, grid_size, importances
from search_spaces.searchers.suggest import suggest
from search_spaces.searchers.tpe import STARTUP
from search_spaces.space import Space, load_space
from tests.helpers.groups import facts
from trainables.errors import ConfigError
from trainables.results.status import TrialStatus

RATE, BATCH, WARMUP = "training.learning_rate", "training.batch_size", "training.warmup"
MIXED = Space.model_validate(
    {
        "name": "mixed",
        "parameters": {
            RATE: {"log_uniform": [1e-5, 1e-3], "steps": 3},
            WARMUP: {"uniform": [0.0, 0.2], "steps": 3},
            "training.epochs": {"int_uniform": [2, 5]},
            BATCH: {"choice": [8, 16, 32]},
            "model.dropout": {"choice": [None, 0.0, 0.1]},
            "arm.sampling.name": {"choice": ["interleave", "power"]},
            "arm.sampling.exponent": {
                "uniform": [0.0, 1.0],
                "steps": 2,
                "when": {"arm.sampling.name": "power"},
            },
        },
    }
)


def score(settings: dict[str, Any]) -> float:
    """Best at a rate of 1e-4 and a batch of 16; the rest does not matter."""
    return -abs(math.log10(settings[RATE] / 1e-4)) - 0.3 * (settings[BATCH] != 16)


def history(trials: int, status: TrialStatus = TrialStatus.FINISHED) -> list[Observation]:
    drawn = [suggest(MIXED, facts(), "random", 99, index) or {} for index in range(trials)]
    if status is TrialStatus.FINISHED:
        return [Observation(settings, TrialStatus.FINISHED, score(settings)) for settings in drawn]
    rungs = [((1, score(s) - 1), (2, score(s))) for s in drawn]
    return [Observation(s, status, None, r) for s, r in zip(drawn, rungs, strict=True)]


@pytest.mark.parametrize("trials", [0, STARTUP + 5])
@pytest.mark.parametrize("method", SEARCHERS)
def test_the_same_arguments_give_the_same_setting(method: str, trials: int) -> None:
    seen = history(trials)
    given = [[suggest(MIXED, facts(), method, 7, i, seen) for i in (0, 3, 1)] for _ in range(2)]
    assert given[0] == given[1]
    if method != "grid":
        assert given[0] != [suggest(MIXED, facts(), method, 8, i, seen) for i in (0, 3, 1)]
        assert len({str(setting) for setting in given[0]}) == 3


@pytest.mark.parametrize("trials", [0, STARTUP + 5])
@pytest.mark.parametrize("method", SEARCHERS)
def test_a_setting_lies_in_the_space(method: str, trials: int) -> None:
    for index in range(30):
        chosen = suggest(MIXED, facts(), method, 3, index, history(trials))
        assert chosen is not None
        assert MIXED.holds(facts(), chosen)
        # What JSON can keep without loss, since searches are recorded.
        assert all(type(value) in (int, float, str, type(None)) for value in chosen.values())


@pytest.mark.parametrize("method", ["random", "sobol"])
def test_groups_try_the_same_values(method: str) -> None:
    for index in range(10):
        one = suggest(MIXED, facts("shared_encoder"), method, 5, index)
        other = suggest(MIXED, facts("single_task", "cola"), method, 5, index)
        assert one is not None
        assert other == {key: v for key, v in one.items() if not key.startswith("arm.")}


def test_a_random_draw_does_not_depend_on_the_other_parameters() -> None:
    alone = Space.model_validate(
        {"name": "alone", "parameters": {RATE: {"log_uniform": [1e-5, 1e-3]}}}
    )
    for index in range(5):
        whole = suggest(MIXED, facts(), "random", 5, index)
        assert whole is not None
        assert suggest(alone, facts(), "random", 5, index) == {RATE: whole[RATE]}


@pytest.mark.parametrize("method", ["random", "sobol"])
def test_values_are_drawn_alike_often(method: str) -> None:
    drawn = [suggest(MIXED, facts(), method, 11, index) or {} for index in range(512)]
    for key, levels in (("training.epochs", 4), (BATCH, 3), ("arm.sampling.name", 2)):
        counts = Counter(settings[key] for settings in drawn)
        assert len(counts) == levels
        # Four standard deviations of a binomial count.
        spread = 4 * math.sqrt(512 * (1 / levels) * (1 - 1 / levels))
        assert all(abs(count - 512 / levels) < spread for count in counts.values())
    # Log-uniform: each decade has half of them.
    low = sum(settings[RATE] < 1e-4 for settings in drawn)
    assert abs(low - 256) < 4 * math.sqrt(128)


def test_sobol_points_fill_every_dimension_evenly() -> None:
    """The first 2^k points have one in each of the 2^k equal parts of every dimension."""
    drawn = [suggest(MIXED, facts(), "sobol", 2, index) or {} for index in range(16)]
    parts = [int(16 * settings[WARMUP] / 0.2) for settings in drawn]
    assert sorted(parts) == list(range(16))


def test_the_seed_moves_sobol_and_random() -> None:
    for method in ("random", "sobol"):
        rates = {(suggest(MIXED, facts(), method, seed, 0) or {})[RATE] for seed in range(8)}
        assert len(rates) == 8


def test_a_grid_has_each_setting_once_and_then_ends() -> None:
    size = grid_size(MIXED, facts())
    # 3 rates, warm-ups, batches, dropouts, 4 epochs; interleave, or power with 2 exponents.
    assert size == 3 * 3 * 4 * 3 * 3 * (1 + 2)
    settings = [suggest(MIXED, facts(), "grid", 0, index) for index in range(size)]
    assert len({str(setting) for setting in settings}) == size
    assert all(setting is not None for setting in settings)
    assert suggest(MIXED, facts(), "grid", 0, size) is None
    # What a single-task model does not have does not multiply its grid.
    assert grid_size(MIXED, facts("single_task")) == 3 * 3 * 4 * 3 * 3


def test_the_levels_of_a_range() -> None:
    space = Space.model_validate(
        {
            "name": "levels",
            "parameters": {
                RATE: {"log_uniform": [1e-5, 1e-3], "steps": 3},
                WARMUP: {"uniform": [0.1, 0.3], "steps": 2},
                "training.epochs": {"int_uniform": [2, 3]},
            },
        }
    )
    assert space.parameters[RATE].levels() == [1e-5, pytest.approx(1e-4), 1e-3]
    assert space.parameters[WARMUP].levels() == [0.1, 0.3]
    assert list(space.parameters["training.epochs"].levels()) == [2, 3]


def test_a_grid_too_large_to_be_listed_is_still_counted() -> None:
    wide = {f"arm.weighting.weights.t{i}": {"choice": [0.5, 1.0, 2.0]} for i in range(40)}
    space = Space.model_validate({"name": "wide", "parameters": wide})
    assert grid_size(space, facts("fixed")) == 3**40
    last = suggest(space, facts("fixed"), "grid", 0, 3**40 - 1)
    assert last is not None
    assert set(last.values()) == {2.0}


def test_a_grid_needs_steps_where_a_range_is_continuous() -> None:
    with pytest.raises(
        ConfigError, match=r"space methods: training\.learning_rate: .*add steps: 3"
    ):
        suggest(load_space("methods"), facts(), "grid", 0, 0)


def test_an_unknown_method_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"optna: unknown search method; did you mean optuna\?"):
        suggest(MIXED, facts(), "optna", 0, 0)


def test_tpe_starts_with_the_settings_of_random_search() -> None:
    for trials in (0, STARTUP - 1):
        assert suggest(MIXED, facts(), "optuna", 4, 2, history(trials)) == suggest(
            MIXED, facts(), "random", 4, 2
        )


def mean_score(seen: list[Observation]) -> float:
    chosen = [suggest(MIXED, facts(), "optuna", 4, index, seen) for index in range(30)]
    return float(np.mean([score(settings or {}) for settings in chosen]))


@pytest.mark.parametrize("status", [TrialStatus.FINISHED, TrialStatus.STOPPED])
def test_tpe_proposes_better_settings_than_random_search(status: TrialStatus) -> None:
    random = [score(suggest(MIXED, facts(), "random", 4, i) or {}) for i in range(30)]
    assert mean_score(history(40, status)) > np.mean(random) + 0.2


def test_tpe_takes_a_trial_that_came_further_for_better() -> None:
    seen = history(40, TrialStatus.STOPPED)
    upside_down = [
        Observation(
            t.settings,
            TrialStatus.STOPPED,
            None,
            ((3, -5.0),) if score(dict(t.settings)) < -0.8 else t.rungs,
        )
        for t in seen
    ]
    assert mean_score(upside_down) < mean_score(seen)


@pytest.mark.parametrize("bad", [TrialStatus.DIVERGED, TrialStatus.FAILED])
def test_what_diverged_is_never_attractive_however_many_there_are(bad: TrialStatus) -> None:
    """One trial that finished far from 60 that failed: TPE goes to the one."""
    failed = history(60, bad)
    failed = [t for t in failed if t.settings[RATE] > 1e-4]
    one = next(t for t in history(100) if t.settings[RATE] < 3e-5)
    seen = [*failed, Observation(one.settings, TrialStatus.FINISHED, -3.0)]
    rates = [(suggest(MIXED, facts(), "optuna", 4, i, seen) or {})[RATE] for i in range(20)]
    assert np.mean(np.array(rates) < 1e-4) > 0.8


@pytest.mark.parametrize(
    "status",
    [TrialStatus.FINISHED, TrialStatus.STOPPED, TrialStatus.DIVERGED, TrialStatus.FAILED],
)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_scores_that_are_no_numbers_do_no_harm(status: TrialStatus, value: float | None) -> None:
    settings = [trial.settings for trial in history(STARTUP + 2)]
    rungs = () if value is None else ((1, value),)
    seen = [Observation(s, status, value, rungs) for s in settings]
    # Without a single score there is nothing to learn from.
    random = suggest(MIXED, facts(), "random", 4, 1)
    assert suggest(MIXED, facts(), "optuna", 4, 1, seen) == random
    chosen = suggest(MIXED, facts(), "optuna", 4, 1, [*seen, *history(12)])
    assert chosen is not None
    assert MIXED.holds(facts(), chosen)
    assert importances(MIXED, facts(), seen) == {}


FOREIGN: list[dict[str, Any]] = [
    {},
    {RATE: 1e-4},
    {"training.unknown": 3},
    {RATE: 1.0},
    {RATE: "high"},
    {BATCH: True},
    {"arm.sampling.exponent": None},
    {"training.epochs": 2.5},
    {"model.dropout": [0.1]},
]


def test_trials_of_another_space_are_left_out() -> None:
    seen = history(15)
    whole = dict(seen[0].settings)
    foreign = [
        Observation(part if len(part) < 1 else whole | part, TrialStatus.FINISHED, 9.0)
        for part in FOREIGN
    ]
    foreign = [trial for trial in foreign if not MIXED.holds(facts(), trial.settings)]
    assert len(foreign) >= len(FOREIGN) - 1
    alone = suggest(MIXED, facts(), "optuna", 4, 1, seen)
    assert suggest(MIXED, facts(), "optuna", 4, 1, [*foreign, *seen]) == alone
    assert importances(MIXED, facts(), [*foreign, *seen]) == importances(MIXED, facts(), seen)
    # Of another group: what a single-task model was tried with says nothing of a sampling.
    other = [suggest(MIXED, facts("single_task"), "random", 1, i) or {} for i in range(5)]
    seen_there = [Observation(settings, TrialStatus.FINISHED, 9.0) for settings in other]
    assert suggest(MIXED, facts(), "optuna", 4, 1, [*seen_there, *seen]) == alone


def test_a_group_with_nothing_to_search_has_one_setting() -> None:
    space = Space.model_validate(
        {"name": "arm", "parameters": {"arm.sampling.exponent": {"uniform": [0, 1], "steps": 3}}}
    )
    group = facts("single_task")
    seen = [Observation({}, TrialStatus.FINISHED, float(i)) for i in range(STARTUP + 2)]
    for method in SEARCHERS:
        assert suggest(space, group, method, 0, 0, seen) == {}
    assert suggest(space, group, "grid", 0, 1) is None
    assert grid_size(space, group) == 1
    assert importances(space, group, seen) == {}


def test_the_parameter_that_decides_is_the_most_important() -> None:
    found = importances(MIXED, facts(), history(40))
    assert next(iter(found)) == RATE
    assert sum(found.values()) == pytest.approx(1)
    assert set(found) == set(MIXED.keys)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert importances(MIXED, facts(), history(40)) == found


def test_importances_need_four_finished_trials_that_differ() -> None:
    seen = history(20)
    assert importances(MIXED, facts(), seen[:3]) == {}
    assert importances(MIXED, facts(), seen[:4]) != {}
    alike = [Observation(trial.settings, TrialStatus.FINISHED, 0.5) for trial in seen]
    assert importances(MIXED, facts(), alike) == {}
    assert importances(MIXED, facts(), history(20, TrialStatus.STOPPED)) == {}
    # Most trials predict the majority class, one does not: the better ones are that one.
    most = [*alike[:19], Observation(seen[19].settings, TrialStatus.FINISHED, 0.7)]
    assert importances(MIXED, facts(), most) != {}
