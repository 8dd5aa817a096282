"""The rungs of a group: after how many training examples its trials report a score."""

from bisect import bisect
from collections.abc import Callable, Sequence

from orchestrator.config.search import TuneConfig


def rungs(tune: TuneConfig, budget: int) -> tuple[int, ...]:
    """Training examples after which the trials of a group report a score, increasing.

    Args:
        tune: names the scheduler and its settings.
        budget: training examples that the longest trial sees.
    """
    shares = RUNG_SHARES[tune.scheduler](tune)
    return tuple(sorted({max(1, round(share * budget)) for share in shares}))


def reached(rungs: Sequence[int], examples: float) -> int:
    """Number of rungs that a trial has reached after so many training examples.

    A trial reports at the first step that reaches a rung, which differs with the batch size, so
    trials are compared by the number of the rung.
    """
    return bisect(rungs, examples)


def _geometric(tune: TuneConfig) -> list[float]:
    """``grace``, and every ``reduction`` times as much."""
    shares: list[float] = []
    while (share := tune.grace * tune.reduction ** len(shares)) < 1:
        shares.append(share)
    return shares


def _regular(tune: TuneConfig) -> list[float]:
    """``grace``, and the multiples of one ``measurements``-th that are larger."""
    part = 1 / tune.measurements
    multiples = [n * part for n in range(1, tune.measurements)]
    return [tune.grace, *(share for share in multiples if share > tune.grace)]


def _segments(tune: TuneConfig) -> list[float]:
    """The ends of all segments but the last one."""
    return [n / tune.parts for n in range(1, tune.parts)]


RUNG_SHARES: dict[str, Callable[[TuneConfig], list[float]]] = {
    "asha": _geometric,
    "hyperband": _geometric,
    "median": _regular,
    "pbt": _segments,
    "none": lambda tune: [],
}
"""Scheduler -> the rungs as shares of a group's budget."""
