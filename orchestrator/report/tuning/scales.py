"""The position of a value on the axis of its parameter, from 0 to 1."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from orchestrator.report.tuning.views import setting_text

LOG_SPAN = 20
"""Values that span more than this factor are shown on a logarithmic axis."""

MOST_TICKS = 6
"""Most values that are all labelled; of more, only some are."""


@dataclass(frozen=True)
class Scale:
    """The axis of one parameter.

    Attributes:
        kind: ``linear``, ``log`` or ``names`` (values that are no numbers, at equal distances).
        low, high: the ends; of ``names`` the first and the last index.
        names: the values of ``names`` as texts, in order.
        numbers: the distinct values of the other kinds, increasing.
    """

    kind: str
    low: float
    high: float
    names: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()

    def position(self, value: Any) -> float:
        """From 0 (low end) to 1 (high end); 0.5 where all values are equal."""
        if self.kind == "names":
            at = float(self.names.index(setting_text(value)))
        else:
            at = math.log(value) if self.kind == "log" else float(value)
        return (at - self.low) / (self.high - self.low) if self.high > self.low else 0.5

    @property
    def ticks(self) -> tuple[tuple[float, str], ...]:
        """(position, text): every value where they are few, else the ends and the middle."""
        if self.kind == "names":
            step = math.ceil(len(self.names) / MOST_TICKS)
            span = max(1, len(self.names) - 1)
            middle = len(self.names) == 1
            return tuple(
                (0.5 if middle else i / span, name)
                for i, name in enumerate(self.names)
                if i % step == 0
            )
        if len(self.numbers) < MOST_TICKS and self._apart():
            return tuple((self.position(value), _short(value)) for value in self.numbers)
        middle = (self.low + self.high) / 2
        ends = (self.low, middle, self.high)
        values = [math.exp(end) if self.kind == "log" else end for end in ends]
        return tuple((i / 2, _short(value)) for i, value in enumerate(values))

    def _apart(self) -> bool:
        """Whether the labels of all values fit next to each other."""
        positions = [self.position(value) for value in self.numbers]
        gaps = [high - low for low, high in pairwise(positions)]
        return min(gaps, default=1.0) >= 1 / MOST_TICKS


def scale_of(values: Sequence[Any], log: bool = True) -> Scale:
    """The axis for these values; with ``log`` logarithmic where positive ones span a factor 20."""
    if not all(_is_number(value) for value in values):
        numbers = sorted({v for v in values if _is_number(v)})
        others = {setting_text(v) for v in values if not _is_number(v)}
        names = tuple(dict.fromkeys((*map(setting_text, numbers), *sorted(others))))
        return Scale("names", 0, len(names) - 1, names)
    numbers = tuple(sorted({float(value) for value in values}))
    low, high = (numbers[0], numbers[-1]) if numbers else (0.0, 1.0)
    if log and low > 0 and high / low > LOG_SPAN:
        return Scale("log", math.log(low), math.log(high), numbers=numbers)
    return Scale("linear", low, high, numbers=numbers)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)


def _short(value: float) -> str:
    """Few digits, and no zeros in the exponent: 8.6e-4, 0.125, 32."""
    text = f"{value:.3g}" if value == 0 or abs(value) >= 1e-3 else f"{value:.1e}"
    base, e, exponent = text.partition("e")
    return f"{base.removesuffix('.0')}e{int(exponent)}" if e else text
