"""Curves on one line of text: series of values in limited memory, drawn as bars."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.,-~=*#"
"""For terminals without Unicode."""

POINTS = 64
"""A series keeps fewer points than this, however long it gets; an even number."""


class Series:
    """Values in the order in which they came; when there are many, neighbours become their mean."""

    def __init__(self) -> None:
        self._points: list[float] = []
        self._stride = 1
        self._open: list[float] = []

    def add(self, value: float) -> None:
        """Add the next value; one that is not finite is left out."""
        if not math.isfinite(value):
            return
        self._open.append(value)
        if len(self._open) < self._stride:
            return
        self._points.append(fmean(self._open))
        self._open = []
        if len(self._points) == POINTS:
            self._points = condensed(self._points, POINTS // 2)
            self._stride *= 2

    @property
    def values(self) -> list[float]:
        """The points, old ones first; the last may be of fewer values than the others."""
        return self._points + ([fmean(self._open)] if self._open else [])


class Curves:
    """The loss and the headline that a running trial has reported so far, as series."""

    def __init__(self) -> None:
        self.loss, self.headline = Series(), Series()
        self._evaluated: tuple[float, float] | None = None

    def add(self, progress: Mapping[str, Any]) -> None:
        """Take a report of the trial; it repeats its latest evaluation, which counts once."""
        if progress.get("phase") == "evaluating":
            return
        if progress["loss"] is not None:
            self.loss.add(progress["loss"])
        epoch, value = progress["epoch"], progress["headline"]
        if value is None:
            return
        if (
            self._evaluated is None
            or value != self._evaluated[1]
            or epoch >= self._evaluated[0] + 1
        ):
            self._evaluated = epoch, value
            self.headline.add(value)


def condensed(values: Sequence[float], width: int) -> list[float]:
    """At most ``width`` values: the means of equal shares of ``values``, in order."""
    if len(values) <= width:
        return list(values)
    bounds = [index * len(values) // width for index in range(width + 1)]
    return [fmean(values[begin:end]) for begin, end in pairwise(bounds)]


def sparkline(values: Sequence[float], width: int, bars: str = BARS) -> str:
    """Finite values as bars from the lowest to the highest of them, at most ``width`` of them.

    Equal values are bars of half the height.
    """
    points = condensed(values, width)
    if not points:
        return ""
    low, span = min(points), max(points) - min(points)
    if not 0 < span < math.inf:
        return bars[len(bars) // 2 - 1] * len(points)
    top = len(bars) - 1
    return "".join(bars[round(top * ((point - low) / span))] for point in points)
