"""How many trials share a GPU: chosen by the trials an hour that were measured."""

from collections.abc import Sequence
from typing import NamedTuple

from trainables.config.base import Settings

LEAST_GAIN = 0.05
"""Share by which more trials at once must train more trials an hour to be chosen."""

SHORT_SECONDS = 600.0
"""Trials that end within it, one after the other on a GPU, are not measured further."""


class Throughput(NamedTuple):
    """A point of the measured curve.

    Attributes:
        at_once: trials that train side by side on one GPU.
        trials_per_hour: training of all of them together; None: they ran out of memory.
    """

    at_once: int
    trials_per_hour: float | None


class GpuSharing(Settings):
    """What was measured for a plan; kept in its run directory (``ResourceChoices``).

    Attributes:
        trial: key of the trial that was measured, the largest of the plan.
        curve: ascending; empty where memory alone decides.
        note: why memory alone decides; empty where it does not.
    """

    trial: str
    curve: tuple[Throughput, ...] = ()
    note: str = ""

    def choose(self, most: int) -> int:
        """How many trials share a GPU into whose memory ``most`` fit."""
        return choose(self.curve, most)

    def describe(self) -> str:
        """For a plan, such as ``trials an hour with 1 a GPU: 120, 2: 190, 4: out of memory``."""
        if not self.curve:
            return f"by memory alone: {self.note}"
        rates = [_rate(point.trials_per_hour) for point in self.curve]
        counts = [str(point.at_once) for point in self.curve]
        counts[0] += " a GPU"
        points = ", ".join(f"{n}: {rate}" for n, rate in zip(counts, rates, strict=True))
        return f"trials an hour with {points}"


def _rate(trials_per_hour: float | None) -> str:
    if trials_per_hour is None:
        return "out of memory"
    return f"{trials_per_hour:,.0f}" if trials_per_hour >= 10 else f"{trials_per_hour:.2g}"


def levels(most: int) -> list[int]:
    """The numbers of trials at once that are measured: powers of two, and ``most``."""
    powers = [2**power for power in range(most.bit_length())]
    return sorted({*powers, most})


def goes_on(curve: Sequence[Throughput]) -> bool:
    """Whether more trials at once are to be measured: the last ones fitted and were no slower."""
    rates = [point.trials_per_hour for point in curve]
    if not rates:
        return True
    last = rates[-1]
    before = rates[-2] if len(rates) > 1 else 0.0
    return last is not None and before is not None and last >= before


def choose(curve: Sequence[Throughput], most: int) -> int:
    """How many trials share a GPU.

    The fewest than which no measured number trains ``LEAST_GAIN`` more trials an hour: more trials
    at once take longer each, and a gain within the noise is none.

    Args:
        curve: what was measured, ascending; without a point, memory alone decides.
        most: trials that fit into the GPU's memory.
    """
    fitting = [
        (point.at_once, point.trials_per_hour)
        for point in curve
        if point.at_once <= most and point.trials_per_hour is not None
    ]
    if not fitting:
        return 1 if curve else most
    fastest = max(rate for _, rate in fitting)
    return next(at_once for at_once, rate in fitting if fastest < rate * (1 + LEAST_GAIN))
