"""Groups examples into batches of similar length, and shuffles them.

Padding is the largest avoidable cost of short texts, so a batch consists of examples of similar
length: the shuffled examples are cut into pools of ``POOL`` batches, each pool is sorted by length
and cut into batches, and the batches are shuffled. The pools are drawn again in each pass, so
batches differ from pass to pass.
"""

from collections.abc import Sequence

import numpy as np

from trainables.seeding import generator

POOL = 50
"""Batches sorted by length together. More means less padding, fewer means better shuffling."""


def shuffled_batches(
    lengths: np.ndarray, batch_size: int, rng: np.random.Generator, *, bucketing: bool
) -> list[np.ndarray]:
    """Divide all examples into shuffled batches.

    Args:
        lengths: tokens per example, shape ``(examples,)``.
        batch_size: examples per batch; only one batch may be smaller.
        rng: the source of randomness.
        bucketing: whether to put examples of similar length into a batch.

    Returns:
        ``ceil(examples / batch_size)`` arrays of example indices.
    """
    order = rng.permutation(len(lengths))
    if not bucketing:
        return _cut(order, batch_size)
    pool = POOL * batch_size
    batches = []
    for start in range(0, len(order), pool):
        part = order[start : start + pool]
        batches += _cut(part[np.argsort(lengths[part], kind="stable")], batch_size)
    return [batches[i] for i in rng.permutation(len(batches))]


def evaluation_batches(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Batches of all examples, longest first, so that a batch too large for memory fails early."""
    return _cut(np.argsort(-lengths, kind="stable"), batch_size)


def _cut(order: np.ndarray, size: int) -> list[np.ndarray]:
    return [order[i : i + size] for i in range(0, len(order), size)]


class BatchStream:
    """An endless stream of batches over one set of examples, pass after pass.

    The ``k``-th batch depends only on the seed, the name and ``k``. So resuming needs no state, and
    streams of the same name give the same batches in every strategy.

    Args:
        name: the stream's name.
        lengths: tokens per example, shape ``(examples,)``.
        batch_size: examples per batch; the last batch before shuffling may be smaller.
        seed: the trial's seed.
        bucketing: whether to put examples of similar length into a batch.
    """

    def __init__(
        self, name: str, lengths: np.ndarray, batch_size: int, seed: int, *, bucketing: bool
    ) -> None:
        self.name = name
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._bucketing = bucketing
        self._pass = -1
        self._batches: Sequence[np.ndarray] = ()

    @property
    def per_pass(self) -> int:
        """Number of batches in one pass."""
        return -(-len(self._lengths) // self._batch_size)

    def batch(self, k: int) -> np.ndarray:
        """Example indices of the ``k``-th batch, counted from 0 over all passes."""
        number, position = divmod(k, self.per_pass)
        return self._batches_of_pass(number)[position]

    def examples(self, first: int, count: int) -> np.ndarray:
        """Indices of ``count`` examples from the ``first``-th on, counted from 0 over all passes.

        The examples come in the order of the batches. For steps that take a varying number.
        """
        taken = []
        while count:
            number, position = divmod(first, len(self._lengths))
            part = np.concatenate(self._batches_of_pass(number))[position : position + count]
            taken.append(part)
            first, count = first + len(part), count - len(part)
        return np.concatenate(taken)

    def _batches_of_pass(self, number: int) -> Sequence[np.ndarray]:
        if number != self._pass:
            rng = generator(self._seed, "order", self.name, number)
            self._batches = shuffled_batches(
                self._lengths, self._batch_size, rng, bucketing=self._bucketing
            )
            self._pass = number
        return self._batches
