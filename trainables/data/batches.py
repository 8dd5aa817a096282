"""Which examples form a batch, and in which order the batches come.

Padding is the largest avoidable cost of short texts, so a batch is made of examples of similar
length: the shuffled examples are cut into pools of ``POOL`` batches, each pool is sorted by length
and cut into batches, and the batches are shuffled. With the pools drawn anew in each pass, a batch
still differs from pass to pass.
"""

from collections.abc import Sequence

import numpy as np

from trainables.seeding import generator

POOL = 50
"""Batches that are sorted by length together; more saves padding, fewer mixes better."""


def shuffled_batches(
    lengths: np.ndarray, batch_size: int, rng: np.random.Generator, *, bucketing: bool
) -> list[np.ndarray]:
    """All examples once, in shuffled batches.

    Args:
        lengths: tokens per example, shape ``(examples,)``.
        batch_size: examples per batch; only one batch may be smaller.
        rng: the source of the order.
        bucketing: whether a batch holds examples of similar length.

    Returns:
        Index arrays, ``ceil(examples / batch_size)`` of them.
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
    """All examples once, longest first, so that a batch that is too large fails at once."""
    return _cut(np.argsort(-lengths, kind="stable"), batch_size)


def _cut(order: np.ndarray, size: int) -> list[np.ndarray]:
    return [order[i : i + size] for i in range(0, len(order), size)]


class BatchStream:
    """An endless stream of batches over one set of examples, pass after pass.

    The ``k``-th batch depends on the seed, the name and ``k`` alone, so a stream needs no state to
    be resumed, and streams of the same name give the same batches in every strategy.
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
        """Batches in one pass."""
        return -(-len(self._lengths) // self._batch_size)

    def batch(self, k: int) -> np.ndarray:
        """Indices of the examples of the ``k``-th batch, counted from 0 over all passes."""
        number, position = divmod(k, self.per_pass)
        return self._of_pass(number)[position]

    def examples(self, first: int, count: int) -> np.ndarray:
        """Indices of ``count`` examples from the ``first``-th on, counted from 0 over all passes.

        The batches one after the other, cut elsewhere: for steps that take a varying number.
        """
        taken = []
        while count:
            number, position = divmod(first, len(self._lengths))
            part = np.concatenate(self._of_pass(number))[position : position + count]
            taken.append(part)
            first, count = first + len(part), count - len(part)
        return np.concatenate(taken)

    def _of_pass(self, number: int) -> Sequence[np.ndarray]:
        if number != self._pass:
            rng = generator(self._seed, "order", self.name, number)
            self._batches = shuffled_batches(
                self._lengths, self._batch_size, rng, bucketing=self._bucketing
            )
            self._pass = number
        return self._batches
