"""Task sampling: which tasks each step of a multi-task trial trains.

A sampler says how often each task is drawn; ``sampling.batch`` says what is drawn. With
``one_task`` each draw is a whole batch of one task. With ``mixed`` (Clark et al. 2019, BAM, section
3.2) each draw is one example, so that a batch holds examples of all tasks. With ``joint`` nothing
is drawn: every step holds its share of every task. ``batch_size`` is what a step holds in all, so
that a step costs the same and a pass has as many examples whatever it is made of.

One *round* of steps is one pass: as many batches, or as many examples, as all tasks have together.
To add a sampler, write a class and name it in ``SAMPLERS`` and give it settings in
``trainables/config/methods.py``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from trainables.config.methods import SamplingConfig


class Sampler(ABC):
    """Draws the tasks of one round."""

    @abstractmethod
    def shares(self, sizes: np.ndarray, progress: float) -> np.ndarray:
        """Expected share of each task in the draws, shape ``(tasks,)``, sums to 1.

        Args:
            sizes: training examples per task, shape ``(tasks,)``.
            progress: 0 in the first epoch and 1 in the last.
        """

    def schedule(
        self, sizes: np.ndarray, draws: np.ndarray, progress: float, rng: np.random.Generator
    ) -> np.ndarray:
        """Task indices of one round, here drawn with replacement.

        Args:
            sizes: training examples per task, shape ``(tasks,)``.
            draws: what one pass over each task takes, batches or examples, shape ``(tasks,)``.
            progress: 0 in the first epoch and 1 in the last.
            rng: the source of chance.

        Returns:
            int64 array of shape ``(draws.sum(),)``.
        """
        return rng.choice(len(sizes), size=int(draws.sum()), p=self.shares(sizes, progress))


class Interleave(Sampler):
    """Everything of every task exactly once a round, in random order, without replacement.

    Liu et al. 2019, "Multi-Task Deep Neural Networks for Natural Language Understanding"
    (MT-DNN), Algorithm 1: the mini-batches of all tasks are merged and shuffled each epoch. Each
    example is seen exactly once a pass, as in single-task training.
    """

    def shares(self, sizes: np.ndarray, progress: float) -> np.ndarray:
        """See ``Sampler.shares``."""
        return sizes / sizes.sum()

    def schedule(
        self, sizes: np.ndarray, draws: np.ndarray, progress: float, rng: np.random.Generator
    ) -> np.ndarray:
        """One round; see ``Sampler.schedule``."""
        return rng.permutation(np.repeat(np.arange(len(draws)), draws))


class RoundRobin(Sampler):
    """One task after the other, in an order that is drawn anew for each round."""

    def shares(self, sizes: np.ndarray, progress: float) -> np.ndarray:
        """See ``Sampler.shares``."""
        return np.full(len(sizes), 1 / len(sizes))

    def schedule(
        self, sizes: np.ndarray, draws: np.ndarray, progress: float, rng: np.random.Generator
    ) -> np.ndarray:
        """One round; see ``Sampler.schedule``."""
        return np.resize(rng.permutation(len(draws)), int(draws.sum()))


class Power(Sampler):
    """``p(task) ~ examples ** exponent``.

    ``exponent`` 1 is proportional sampling, 0.5 square-root sampling, 0 uniform sampling; the
    temperature of other works is ``1 / exponent``. Clark et al. 2019 (BAM, section 3.2) use 0.75;
    Stickland and Murray 2019 (PALs, section 3.3) compare them.
    """

    def __init__(self, exponent: float) -> None:
        self._exponent = exponent

    def exponent(self, progress: float) -> float:
        """The exponent at some ``progress``."""
        return self._exponent

    def shares(self, sizes: np.ndarray, progress: float) -> np.ndarray:
        """See ``Sampler.shares``."""
        weights = sizes.astype(np.float64) ** self.exponent(progress)
        return weights / weights.sum()


class Annealed(Power):
    """``p(task) ~ examples ** a`` with ``a = 1 - 0.8 (e - 1) / (E - 1)`` in epoch e of E.

    Stickland and Murray 2019, "BERT and PALs: Projected Attention Layers for Efficient Adaptation
    in Multi-Task Learning", section 3.3: proportional at first, nearly uniform towards the end,
    when the tasks' interference matters most.
    """

    def __init__(self) -> None:
        super().__init__(1.0)

    def exponent(self, progress: float) -> float:
        """See ``Power.exponent``."""
        return 1 - 0.8 * progress


def in_every_step(shares: np.ndarray, sizes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How many examples of each task the steps of a joint round take.

    Systematic sampling: task t owns a stretch ``shares[t] * size`` of the step's length, and the
    points ``u, u + 1, ...`` that fall into it count. With u uniform in [0, 1) the expected number
    is exactly the stretch, and a stretch of 1 or more always holds a point; shorter ones are
    therefore made that long, at the cost of what the others have above 1.

    Args:
        shares: of each task, shape ``(tasks,)``, sum to 1.
        sizes: examples of each step, shape ``(steps,)``, none below the number of tasks.
        rng: the source of chance.

    Returns:
        int64 array of shape ``(steps, tasks)``, at least 1 everywhere, rows add up to ``sizes``.
    """
    above = np.maximum(0, sizes[:, None] * shares - 1)
    spare = sizes[:, None] - len(shares)
    stretches = 1 + above * spare / np.maximum(above.sum(axis=1, keepdims=True), 1e-12)
    ends = np.cumsum(stretches, axis=1)
    ends[:, -1] = sizes
    points = np.ceil(ends - rng.random((len(sizes), 1))).astype(np.int64)
    return np.diff(points, axis=1, prepend=0)


def step_sizes(examples: int, batch_size: int) -> np.ndarray:
    """``examples`` cut into the fewest steps of at most ``batch_size``, as even as can be."""
    steps = -(-examples // batch_size)
    return np.diff(np.arange(steps + 1) * examples // steps)


def make_sampler(config: SamplingConfig) -> Sampler:
    """The sampler that ``config`` names."""
    return SAMPLERS[config.name](config)


SAMPLERS: dict[str, Callable[[Any], Sampler]] = {
    "interleave": lambda config: Interleave(),
    "proportional": lambda config: Power(1.0),
    "power": lambda config: Power(config.exponent),
    "annealed": lambda config: Annealed(),
    "uniform": lambda config: Power(0.0),
    "round_robin": lambda config: RoundRobin(),
}
"""Method -> from its settings to the sampler."""
