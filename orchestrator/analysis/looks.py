"""Looking again with more seeds: the level at which each of several verdicts is given."""

from collections.abc import Collection
from dataclasses import dataclass

LEVEL = 0.05
"""Chance of an error of a verdict that is the only one."""
FEW = 5
"""The most looks that have half of it each; more have a quarter."""


def level_of(looks: int) -> float:
    """The chance of an error that each of so many looks is allowed.

    Verdicts on the same runs and some more mostly agree, so that they need not share ``LEVEL``
    evenly. How often any of them errs is measured by ``python -m benchmarks.looks``.

    >>> [level_of(looks) for looks in (1, 2, 5, 6)]
    [0.05, 0.025, 0.025, 0.0125]
    """
    if looks <= 1:
        return LEVEL
    return LEVEL / 2 if looks <= FEW else LEVEL / 4


@dataclass(frozen=True)
class Look:
    """A verdict at a number of seeds, among those at which there are or were others.

    Attributes:
        seeds: number of seeds of each arm, as planned.
        planned: the numbers of seeds at which there is to be a verdict.
        earlier: those of former plans by which a verdict was made.
    """

    seeds: int
    planned: Collection[int]
    earlier: Collection[int] = ()

    @property
    def all(self) -> tuple[int, ...]:
        """All numbers of seeds at which there is or was a verdict, ascending.

        One seed alone decides nothing, so it is no look if others follow.
        """
        looks = sorted({self.seeds, *self.planned, *self.earlier})
        return tuple(n for n in looks if n > 1 or len(looks) == 1)

    @property
    def number(self) -> int:
        """Which look it is, counted from 1."""
        return sum(n < self.seeds for n in self.all) + 1

    @property
    def added(self) -> tuple[int, ...]:
        """The earlier looks that the present plan does not have: it was changed after a verdict."""
        return tuple(n for n in self.all if n in self.earlier and n not in self.planned)

    @property
    def level(self) -> float:
        """Chance of an error of this verdict."""
        return level_of(len(self.all))

    @property
    def next_level(self) -> float:
        """The same of the next one, which adds a look if none is planned after this one."""
        return level_of(len(self.all) + (self.seeds == self.all[-1]))
