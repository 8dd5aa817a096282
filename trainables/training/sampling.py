"""Task sampling: which task each step of a multi-task trial trains.

A sampler fills one round of steps (as many as all tasks' batches together) at a time. To add one,
write a class with ``schedule`` and name it in ``SAMPLERS`` and in ``SamplingConfig``.
"""

from typing import Protocol

import numpy as np

from trainables.config import SamplingConfig


class Sampler(Protocol):
    """Chooses the tasks of one round of steps."""

    def schedule(
        self, examples: np.ndarray, batches: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Task indices of one round.

        Args:
            examples: training examples per task, shape ``(tasks,)``.
            batches: batches in one pass over each task, shape ``(tasks,)``.
            rng: the source of chance.

        Returns:
            int64 array of shape ``(batches.sum(),)``.
        """
        ...


class Interleave:
    """Every batch of every task exactly once a round, in random order, without replacement.

    Liu et al. 2019, "Multi-Task Deep Neural Networks for Natural Language Understanding"
    (MT-DNN), Algorithm 1: the mini-batches of all tasks are merged and shuffled each epoch. Each
    example is seen exactly once a pass, as in single-task training.
    """

    def schedule(
        self, examples: np.ndarray, batches: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """One round; see ``Sampler.schedule``."""
        return rng.permutation(np.repeat(np.arange(len(batches)), batches))


class Power:
    """Steps drawn with replacement, ``p(task) ~ examples ** exponent``.

    ``exponent`` 1 is proportional sampling, 0.5 square-root sampling, 0 uniform sampling; the
    temperature of other works is ``1 / exponent``. Clark et al. 2019 (BAM, section 3.2) use 0.75;
    Stickland and Murray 2019 (PALs, section 3.3) compare them.
    """

    def __init__(self, exponent: float) -> None:
        self.exponent = exponent

    def schedule(
        self, examples: np.ndarray, batches: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """One round; see ``Sampler.schedule``."""
        weights = examples.astype(np.float64) ** self.exponent
        return rng.choice(len(examples), size=int(batches.sum()), p=weights / weights.sum())


def make_sampler(config: SamplingConfig) -> Sampler:
    """The sampler that ``config`` names."""
    return SAMPLERS[config.name](config)


SAMPLERS = {
    "interleave": lambda config: Interleave(),
    "proportional": lambda config: Power(1.0),
    "power": lambda config: Power(config.exponent),
    "uniform": lambda config: Power(0.0),
}
