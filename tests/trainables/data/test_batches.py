"""Which examples form a batch: every example once, in an order that follows from the seed."""

import numpy as np
import pytest

from trainables.data.batches import BatchStream, evaluation_batches, shuffled_batches

LENGTHS = np.random.default_rng(0).integers(3, 60, size=1003)


def padding(batches: list[np.ndarray]) -> float:
    """Share of a padded batch that is padding."""
    padded = sum(len(batch) * LENGTHS[batch].max() for batch in batches)
    return 1 - LENGTHS.sum() / padded


@pytest.mark.parametrize("bucketing", [False, True])
def test_a_pass_has_every_example_once_in_full_batches_but_one(bucketing: bool) -> None:
    batches = shuffled_batches(LENGTHS, 32, np.random.default_rng(1), bucketing=bucketing)
    np.testing.assert_array_equal(np.sort(np.concatenate(batches)), np.arange(len(LENGTHS)))
    assert len(batches) == -(-len(LENGTHS) // 32)
    assert sorted(map(len, batches))[1:] == [32] * (len(batches) - 1)


def test_bucketing_and_evaluation_save_padding() -> None:
    def mean(bucketing: bool) -> float:
        rng = np.random.default_rng(1)
        return padding(shuffled_batches(LENGTHS, 32, rng, bucketing=bucketing))

    assert mean(True) < mean(False) / 3
    assert padding(evaluation_batches(LENGTHS, 32)) < mean(False) / 3


def stream(name: str = "cola", seed: int = 41) -> BatchStream:
    return BatchStream(name, LENGTHS, 32, seed, bucketing=True)


def test_a_batch_follows_from_seed_name_and_number_alone() -> None:
    stream_1, other = stream(), stream()
    forward = [stream_1.batch(k) for k in range(70)]
    for k in reversed(range(70)):
        np.testing.assert_array_equal(other.batch(k), forward[k])


def test_passes_seeds_and_names_give_different_orders() -> None:
    first = [stream().batch(k) for k in range(stream().per_pass)]

    def same(batches: list[np.ndarray]) -> bool:
        return all(len(a) == len(b) and (a == b).all() for a, b in zip(first, batches, strict=True))

    per_pass = stream().per_pass
    assert same([stream().batch(k) for k in range(per_pass)])
    assert not same([stream().batch(k + per_pass) for k in range(per_pass)])
    assert not same([stream(seed=42).batch(k) for k in range(per_pass)])
    assert not same([stream(name="sst2").batch(k) for k in range(per_pass)])
