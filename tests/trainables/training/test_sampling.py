"""Task sampling: shares, exactness, determinism, for every sampler."""

import numpy as np
import pytest

from trainables.config import SamplingConfig
from trainables.seeding import generator
from trainables.training.sampling import SAMPLERS, make_sampler

EXAMPLES = np.array([8551, 67349, 3668])  # CoLA, SST-2, MRPC
BATCHES = -(-EXAMPLES // 32)


def schedule(name: str, seed: int = 41, exponent: float = 0.5) -> np.ndarray:
    sampler = make_sampler(SamplingConfig.model_validate({"name": name, "exponent": exponent}))
    return sampler.schedule(EXAMPLES, BATCHES, generator(seed, "sampler", 0))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_round_has_as_many_steps_as_all_tasks_have_batches(name: str) -> None:
    assert schedule(name).shape == (BATCHES.sum(),)


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_same_seed_gives_the_same_round_and_another_seed_another(name: str) -> None:
    np.testing.assert_array_equal(schedule(name), schedule(name))
    assert (schedule(name) != schedule(name, seed=42)).any()


@pytest.mark.parametrize("name", SAMPLERS)
def test_one_task_is_always_chosen(name: str) -> None:
    sampler = make_sampler(SamplingConfig.model_validate({"name": name}))
    chosen = sampler.schedule(np.array([100]), np.array([4]), generator(1, "x"))
    np.testing.assert_array_equal(chosen, np.zeros(4))


def test_interleave_takes_every_batch_exactly_once() -> None:
    np.testing.assert_array_equal(np.bincount(schedule("interleave")), BATCHES)


@pytest.mark.parametrize(
    ("name", "exponent", "shares"),
    [
        ("proportional", 0.5, [0.107, 0.847, 0.046]),
        ("power", 0.75, [0.160, 0.755, 0.085]),
        ("power", 0.5, [0.224, 0.629, 0.147]),
        ("uniform", 0.5, [1 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_drawn_shares_are_the_expected_ones(name: str, exponent: float, shares: list) -> None:
    counts = np.bincount(
        np.concatenate([schedule(name, seed, exponent) for seed in range(40)]), minlength=3
    )
    np.testing.assert_allclose(counts / counts.sum(), shares, atol=0.006)
