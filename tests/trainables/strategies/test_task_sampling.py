"""Task sampling: shares, exactness, determinism, for every sampler."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.methods import method
from trainables.seeding import generator
from trainables.strategies.task_sampling import (
    SAMPLERS,
    Sampler,
    in_every_step,
    make_sampler,
    step_sizes,
)

EXAMPLES = np.array([8551, 67349, 3668])  # CoLA, SST-2, MRPC
BATCHES = -(-EXAMPLES // 32)


def sampler(name: str, exponent: float = 0.5) -> Sampler:
    settings = {"exponent": exponent} if name == "power" else {}
    return make_sampler(method("sampling", name=name, **settings))


def schedule(name: str, seed: int = 41, progress: float = 0.0) -> np.ndarray:
    rng = generator(seed, "sampler", 0)
    return sampler(name).schedule(EXAMPLES, BATCHES, progress, rng)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_round_has_as_many_steps_as_all_tasks_have_batches(name: str) -> None:
    assert schedule(name).shape == (BATCHES.sum(),)


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_same_seed_gives_the_same_round_and_other_seeds_others(name: str) -> None:
    np.testing.assert_array_equal(schedule(name), schedule(name))
    assert any((schedule(name) != schedule(name, seed)).any() for seed in range(5))


@pytest.mark.parametrize("name", SAMPLERS)
def test_one_task_is_always_chosen(name: str) -> None:
    draws = np.array([4])
    chosen = sampler(name).schedule(np.array([100]), draws, 0.5, generator(1, "x"))
    np.testing.assert_array_equal(chosen, np.zeros(4))


SIZES = st.lists(st.integers(50, 5000), min_size=2, max_size=6).map(np.array)
PROGRESS = st.floats(0, 1)


@pytest.mark.parametrize("name", SAMPLERS)
@settings(max_examples=20, deadline=None)
@given(sizes=SIZES, progress=PROGRESS, exponent=st.floats(0, 1), seed=st.integers(0, 1000))
def test_drawn_shares_agree_with_the_expected_ones(
    name: str, sizes: np.ndarray, progress: float, exponent: float, seed: int
) -> None:
    made = sampler(name, exponent)
    expected = made.shares(sizes, progress)
    assert expected.sum() == pytest.approx(1)
    drawn = made.schedule(sizes, sizes, progress, generator(seed, "sampler"))
    realised = np.bincount(drawn, minlength=len(sizes)) / len(drawn)
    # Six standard deviations of a share that is drawn independently each time.
    slack = 6 * np.sqrt(expected * (1 - expected) / len(drawn)) + 1 / len(drawn)
    assert (np.abs(realised - expected) <= slack).all()


@settings(max_examples=50, deadline=None)
@given(sizes=SIZES, extra=st.integers(0, 60), seed=st.integers(0, 1000))
def test_joint_steps_hold_every_task_and_its_share(
    sizes: np.ndarray, extra: int, seed: int
) -> None:
    shares = sizes / sizes.sum()
    steps = np.full(400, len(sizes) + extra)
    counts = in_every_step(shares, steps, generator(seed, "sampler"))
    assert (counts >= 1).all()
    np.testing.assert_array_equal(counts.sum(axis=1), steps)
    if (shares * steps[0] >= 1).all():
        np.testing.assert_allclose(counts.mean(axis=0), shares * steps[0], atol=6 * 0.5 / 20)


@given(examples=st.integers(1, 10_000), batch_size=st.integers(1, 64))
def test_steps_of_several_tasks_hold_all_examples_evenly(examples: int, batch_size: int) -> None:
    sizes = step_sizes(examples, batch_size)
    assert sizes.sum() == examples
    assert 1 <= sizes.min() <= sizes.max() <= batch_size
    assert sizes.max() - sizes.min() <= 1


def test_interleave_takes_every_batch_exactly_once() -> None:
    np.testing.assert_array_equal(np.bincount(schedule("interleave")), BATCHES)


def test_round_robin_takes_every_task_once_in_each_turn() -> None:
    turns = schedule("round_robin")[: 3 * 700].reshape(-1, 3)
    np.testing.assert_array_equal(np.sort(turns, axis=1), np.tile([0, 1, 2], (700, 1)))


@pytest.mark.parametrize(
    ("name", "exponent", "progress", "percent"),
    [
        ("proportional", 0.5, 0.0, [10.7, 84.6, 4.6]),
        ("interleave", 0.5, 0.0, [10.7, 84.6, 4.6]),
        ("power", 0.75, 0.0, [16.0, 75.4, 8.5]),
        ("power", 0.5, 0.0, [22.4, 62.9, 14.7]),
        ("annealed", 0.5, 0.0, [10.7, 84.6, 4.6]),
        ("annealed", 0.5, 0.625, [22.4, 62.9, 14.7]),  # a = 1 - 0.8 * 0.625 = 0.5
        ("uniform", 0.5, 0.0, [100 / 3] * 3),
        ("round_robin", 0.5, 0.0, [100 / 3] * 3),
    ],
)
def test_shares_of_cola_sst2_and_mrpc(
    name: str, exponent: float, progress: float, percent: list
) -> None:
    shares = sampler(name, exponent).shares(EXAMPLES, progress)
    np.testing.assert_allclose(100 * shares, percent, atol=0.06)


def test_annealing_ends_at_an_exponent_of_a_fifth() -> None:
    np.testing.assert_allclose(
        sampler("annealed").shares(EXAMPLES, 1.0), sampler("power", 0.2).shares(EXAMPLES, 0.0)
    )
