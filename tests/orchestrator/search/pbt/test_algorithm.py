"""Who copies whom and what changes then, on populations small enough to see through."""

from collections import Counter

import pytest

from orchestrator.search.pbt.algorithm import (
    FACTORS,
    RESAMPLED,
    MemberScore,
    changeable,
    exploit,
    explore,
)
from search_spaces.distributions import Choice, IntUniform, LogUniform, Uniform
from search_spaces.space import Space
from trainables.errors import ConfigError

RATE, DECAY, SMOOTHING = (
    "training.learning_rate",
    "training.weight_decay",
    "training.label_smoothing",
)
SPACE = Space(
    name="some",
    parameters={
        RATE: LogUniform(low=1e-5, high=1e-3),
        DECAY: Choice(values=(0.0, 0.01, 0.1)),
        SMOOTHING: Uniform(low=0.0, high=0.2),
        "training.batch_size": Choice(values=(8, 16)),
    },
)
FACTS = {"strategy": "single_task"}
DRAWS = 400


def population(*scores: float | None) -> list[MemberScore]:
    return [MemberScore(member, score, 1.0) for member, score in enumerate(scores)]


def test_the_worst_quarter_copies_one_of_the_best_quarter() -> None:
    standings = population(0.1, 0.9, 0.5, 0.8, 0.4, 0.3, 0.6, 0.2)
    sources = [exploit(standings, seed, 1) for seed in range(DRAWS)]
    assert all(found.keys() == {0, 7} for found in sources)
    for member in (0, 7):
        counts = Counter(found[member] for found in sources)
        assert counts.keys() == {1, 3}
        assert 0.4 < counts[1] / DRAWS < 0.6
    assert exploit(standings[::-1], 3, 1) == exploit(standings, 3, 1)
    assert {tuple(exploit(standings, 3, g).items()) for g in range(20)} != {
        tuple(sources[3].items())
    }


@pytest.mark.parametrize(
    ("scores", "replaced", "best"),
    [
        ((0.4, 0.3, 0.2, 0.1), {3}, {0}),
        ((None, 0.3, 0.2, 0.1), {0}, {1}),
        ((None, None, 0.2, 0.1), {0, 1}, {2}),
        ((None, None, None, 0.1), {0, 1, 2}, {3}),
        ((0.1, None, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7), {0, 1}, {6, 7}),
        ((0.1, 0.2), {0}, {1}),
        ((0.1,), set(), set()),
        ((None, None, None, None), set(), set()),
    ],
)
def test_those_that_ended_badly_are_replaced_and_never_copied(
    scores: tuple[float | None, ...], replaced: set[int], best: set[int]
) -> None:
    for seed in range(20):
        found = exploit(population(*scores), seed, 1)
        assert found.keys() == replaced
        assert set(found.values()) <= best


def test_of_equal_scores_the_lower_loss_is_better_then_the_lower_number() -> None:
    losses = (0.5, 0.4, 0.7, 0.6)
    assert exploit([MemberScore(i, 0.5, loss) for i, loss in enumerate(losses)], 0, 1) == {2: 1}
    assert exploit([MemberScore(i, 0.5, 0.5) for i in range(4)], 0, 1) == {3: 0}


def test_settings_are_perturbed_or_drawn_anew_as_often_as_they_should_be() -> None:
    settings = {RATE: 1e-4, DECAY: 0.01, SMOOTHING: 0.1, "training.batch_size": 8}
    keys = changeable(SPACE, FACTS, "some group")
    assert set(keys) == {RATE, DECAY, SMOOTHING}
    found = [explore(SPACE, keys, settings, seed, 1, 0) for seed in range(DRAWS)]
    perturbed = [1e-4 * factor for factor in FACTORS]
    rates = Counter(new[RATE] if new[RATE] in perturbed else None for new in found)
    assert abs(rates[None] / DRAWS - RESAMPLED) < 0.07
    assert abs(rates[perturbed[0]] / DRAWS - 0.375) < 0.08
    assert all(SPACE.parameters[key].contains(v) for new in found for key, v in new.items())
    assert {new.get(DECAY) for new in found} == {None, 0.0, 0.1}
    assert not any("training.batch_size" in new for new in found)
    assert found[7] == explore(SPACE, keys, settings, 7, 1, 0)
    assert found[7] != explore(SPACE, keys, settings, 7, 2, 0)
    assert found[7] != explore(SPACE, keys, settings, 7, 1, 1)
    # What is drawn for a key does not depend on the others.
    assert found[7][RATE] == explore(SPACE, [RATE], settings, 7, 1, 0)[RATE]


@pytest.mark.parametrize(
    ("parameter", "value", "down", "up"),
    [
        (Uniform(low=0.0, high=1.0), 0.5, 0.4, 0.6),
        (LogUniform(low=0.45, high=0.55), 0.5, 0.45, 0.55),
        (IntUniform(low=1, high=9), 5, 4, 6),
        (IntUniform(low=1, high=9), 1, 1, 2),
        (IntUniform(low=1, high=99), 50, 40, 60),
        (Choice(values=(1, 2, 4)), 2, 1, 4),
        (Choice(values=(1, 2, 4)), 4, 2, 4),
        (Choice(values=(True, 1)), 1, True, 1),
    ],
)
def test_a_perturbed_value_stays_inside(
    parameter: object, value: float, down: float, up: float
) -> None:
    assert isinstance(parameter, Uniform | IntUniform | Choice)
    moved = [parameter.perturbed(value, factor) for factor in FACTORS]
    assert moved == pytest.approx([down, up])
    assert all(map(parameter.contains, moved))


def test_a_space_of_which_nothing_can_change_is_refused() -> None:
    space = Space(name="fixed", parameters={"training.batch_size": Choice(values=(8, 16))})
    with pytest.raises(
        ConfigError, match=r"space fixed: nothing of it can change while some group"
    ):
        changeable(space, FACTS, "some group")


def test_a_setting_that_others_depend_on_stays() -> None:
    space = Space(
        name="conditional",
        parameters={
            RATE: LogUniform(low=1e-5, high=1e-3),
            DECAY: Choice(values=(0.0, 0.01)),
            SMOOTHING: Uniform(low=0.0, high=0.2, when={DECAY: (0.01,)}),
        },
    )
    keys = changeable(space, FACTS, "some group")
    assert keys == (RATE, SMOOTHING)
    assert SMOOTHING not in explore(space, keys, {RATE: 1e-4, DECAY: 0.0}, 0, 1, 0)
