"""Predictions of runs with a known true difference between arms, drawn instead of trained.

A run predicts an example rightly iff

    skill of its class + shift of the arm + b +- c + hard + hard for the arm + noise > 0

where b and c are drawn per arm and seed (c moves the threshold between the classes), ``hard`` per
example, ``hard for the arm`` per arm and example, and ``noise`` per run and example; the variances
of the last three add up to 1. The true difference for new seeds and new examples follows by
Gauss-Hermite integration over b and c.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import sqrt
from typing import Any, Literal

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

ARMS = 3
THRESHOLD = 0.5
"""Standard deviation of c over that of b."""
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(21)


@dataclass(frozen=True)
class Task:
    """Two classes, as a validation set of GLUE has them.

    Attributes:
        examples: number of examples.
        positives: share of class 1.
        recalls: share of each class that an average run predicts rightly, class 0 first.
        noise: multiplies the standard deviation of seeds.
        difficulty: variances of an example's difficulty, for all runs and for an arm's; None: those
            of the condition.
    """

    examples: int
    positives: float
    recalls: tuple[float, float]
    noise: float
    difficulty: tuple[float, float] | None = None

    @property
    def shares(self) -> np.ndarray:
        """Of both classes."""
        return np.array([1 - self.positives, self.positives])


TASKS = {
    "cola": Task(1043, 0.69, (0.605, 0.93), 1.0),
    "sst2": Task(872, 0.51, (0.92, 0.92), 1.0),
    "mrpc": Task(408, 0.684, (0.70, 0.92), 1.75),
}
"""Accuracies .83 (Matthews .58), .92 and .85."""


@dataclass(frozen=True)
class Measure:
    """A metric of a task."""

    task: str
    metric: Literal["accuracy", "f1", "matthews"]


MEASURES = {
    "cola accuracy": Measure("cola", "accuracy"),
    "cola matthews": Measure("cola", "matthews"),
    "sst2 accuracy": Measure("sst2", "accuracy"),
    "mrpc accuracy": Measure("mrpc", "accuracy"),
    "mrpc f1": Measure("mrpc", "f1"),
}
MACRO = ("cola matthews", "sst2 accuracy", "mrpc accuracy")


@dataclass(frozen=True)
class Condition:
    """What grids are drawn from.

    Attributes:
        name: in tables.
        seed_sd: standard deviation over seeds, in points of accuracy; multiplied by a task's noise.
        hard, hard_for_arm: variances of an example's difficulty, for all runs and for an arm's.
        correlation: of the seeds' effects between arms.
        points: by how much the first two arms differ, of accuracy; the third equals the first.
        tasks: name -> task, of the names in ``MEASURES``.
    """

    name: str
    seed_sd: float
    hard: float
    hard_for_arm: float
    correlation: float = 0.0
    points: float = 0.0
    tasks: Mapping[str, Task] = field(default_factory=lambda: TASKS, compare=False)

    @cached_property
    def arms(self) -> "Mapping[str, TaskModel]":
        """The tasks as this condition has them."""
        return {name: TaskModel(task, self) for name, task in self.tasks.items()}

    def true_difference(self, name: str, arms: tuple[int, int]) -> float:
        """The first arm minus the second, of a measure or of ``macro``, as a fraction."""
        if name == "macro":
            return float(np.mean([self.true_difference(part, arms) for part in MACRO]))
        measure = MEASURES[name]
        a, b = (self.arms[measure.task].mean(measure.metric, arm) for arm in arms)
        return a - b


@dataclass(frozen=True)
class TaskModel:
    """A task under a condition."""

    task: Task
    condition: Condition
    _skill: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_skill", ndtri(np.array(self.task.recalls)))

    @property
    def difficulty(self) -> tuple[float, float]:
        """Variances of an example's difficulty, for all runs and for an arm's."""
        return self.task.difficulty or (self.condition.hard, self.condition.hard_for_arm)

    @cached_property
    def sd(self) -> float:
        """Standard deviation of b."""
        density = np.exp(-(self._skill**2) / 2) / sqrt(2 * np.pi)
        slope = float(self.task.shares @ density)
        across = float(self.task.shares @ (density * [-1, 1])) * THRESHOLD
        return self.condition.seed_sd * self.task.noise / 100 / sqrt(slope**2 + across**2)

    @cached_property
    def shift(self) -> float:
        """Of the second arm, so that its accuracy is ``points`` higher."""
        if not self.condition.points:
            return 0.0
        wanted = self._integral("accuracy", 0.0) + self.condition.points / 100
        root: Any = brentq(lambda shift: self._integral("accuracy", shift) - wanted, -1, 3)
        return float(root)

    def mean(self, metric: str, arm: int) -> float:
        """Expected value of a metric of an arm, over seeds, of endless examples."""
        return self._integral(metric, self.shift if arm == 1 else 0.0)

    def _integral(self, metric: str, shift: float) -> float:
        b, c = np.meshgrid(_NODES * self.sd, _NODES * self.sd * THRESHOLD)
        right = [ndtr(self._skill[k] + shift + b + sign * c) for k, sign in ((0, -1), (1, 1))]
        zeros, ones = self.task.shares
        values = METRICS[metric](right[1] * ones, right[0] * zeros, ones, zeros)
        weights = np.outer(_WEIGHTS, _WEIGHTS)
        return float((values * weights).sum() / weights.sum())

    def draw(self, rng: np.random.Generator, seeds: int) -> "Drawn":
        """Draw examples and runs of all arms on them."""
        n = self.task.examples
        labels = (rng.random(n) < self.task.positives).astype(int)
        for_all, for_arm = self.difficulty
        hard = sqrt(for_all) * rng.standard_normal(n)
        own = sqrt(for_arm) * rng.standard_normal((ARMS, n))
        return Drawn(self, labels, hard + own, self.runs(rng, labels, hard + own, seeds))

    def runs(
        self, rng: np.random.Generator, labels: np.ndarray, hard: np.ndarray, seeds: int
    ) -> np.ndarray:
        """Predictions of new seeds, ``(arms, seeds, examples)``."""
        together = sqrt(self.condition.correlation) * rng.standard_normal((2, 1, seeds))
        apart = sqrt(1 - self.condition.correlation) * rng.standard_normal((2, ARMS, seeds))
        b, c = self.sd * (together + apart) * np.array([1.0, THRESHOLD])[:, None, None]
        rest = sqrt(1 - sum(self.difficulty))
        score = rest * rng.standard_normal((ARMS, seeds, len(labels)))
        score += self._skill[labels] + hard[:, None]
        score += b[..., None] + c[..., None] * (2 * labels - 1)
        score[1] += self.shift
        return np.where(score > 0, labels, 1 - labels)


@dataclass(frozen=True)
class Drawn:
    """One task of one grid.

    Attributes:
        model: what it was drawn from.
        labels: ``(examples,)``.
        hard: difficulty of each example for each arm, ``(arms, examples)``.
        predictions: ``(arms, seeds, examples)``.
    """

    model: TaskModel
    labels: np.ndarray
    hard: np.ndarray
    predictions: np.ndarray

    def more(self, rng: np.random.Generator, seeds: int) -> "Drawn":
        """The same grid with so many seeds in all."""
        new = self.model.runs(rng, self.labels, self.hard, seeds - self.predictions.shape[1])
        together = np.concatenate([self.predictions, new], axis=1)
        return Drawn(self.model, self.labels, self.hard, together)


def _matthews(hits: np.ndarray, rejected: np.ndarray, ones: float, zeros: float) -> np.ndarray:
    missed, false = ones - hits, zeros - rejected
    spread = 1.0 * (hits + false) * ones * zeros * (rejected + missed)
    above = hits * rejected - false * missed
    return np.divide(above, np.sqrt(spread), out=np.zeros(above.shape), where=spread > 0)


METRICS: dict[str, Callable[..., np.ndarray]] = {
    "accuracy": lambda hits, rejected, ones, zeros: (hits + rejected) / (ones + zeros),
    "f1": lambda hits, rejected, ones, zeros: 2 * hits / (hits + zeros - rejected + ones),
    "matthews": _matthews,
}
"""Of right predictions of class 1 and of class 0, and the number of examples of each."""
