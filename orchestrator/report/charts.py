"""Where the lines of the report's small charts run: headline metric per epoch or share of data."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.report.columns import metric_title, metric_unit
from orchestrator.report.curves import Curve
from orchestrator.text import number, share

FRAME = {"width": 270, "height": 140, "left": 44, "right": 248, "top": 10, "bottom": 120}
"""Size of a chart and the edges of its axes, in pixels."""

STYLES = 6
"""Line styles that the template knows; more arms than that use them again."""

TICKS = 5
"""More shares than that are not all named below a chart."""


@dataclass(frozen=True)
class Line:
    """One arm: its name, its style (0 to ``STYLES - 1``) and its points in pixels."""

    label: str
    style: int
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Chart:
    """One task and model; ticks are (pixel, text)."""

    title: str
    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


def epoch_charts(curves: Sequence[Curve]) -> tuple[Chart, ...]:
    """Charts over epochs, one per task and model; an arm has the same style everywhere."""
    return _charts(curves, float, lambda epoch: f"{epoch:g}", ticks=2)


def learning_charts(curves: Sequence[Curve]) -> tuple[Chart, ...]:
    """The same over shares of the training data, on a logarithmic axis."""
    return _charts(curves, math.log, share, ticks=TICKS)


def _charts(
    curves: Sequence[Curve],
    scale: Callable[[float], float],
    text: Callable[[float], str],
    ticks: int,
) -> tuple[Chart, ...]:
    labels = list(dict.fromkeys(curve.label for curve in curves))
    places = dict.fromkeys((curve.task, curve.model) for curve in curves)
    return tuple(
        _chart([c for c in curves if (c.task, c.model) == place], labels, scale, text, ticks)
        for place in places
    )


def _chart(
    curves: Sequence[Curve],
    labels: Sequence[str],
    scale: Callable[[float], float],
    text: Callable[[float], str],
    ticks: int,
) -> Chart:
    first = curves[0]
    places = sorted({place for curve in curves for place, _ in curve.points})
    values = [stat.mean for curve in curves for _, stat in curve.points]
    start, end = scale(places[0]), scale(places[-1])
    low, high = min(values), max(values)

    def x(place: float) -> float:
        part = (scale(place) - start) / (end - start) if len(places) > 1 else 0.5
        return round(FRAME["left"] + part * (FRAME["right"] - FRAME["left"]), 1)

    def y(value: float) -> float:
        part = (value - low) / (high - low) if high > low else 0.5
        return round(FRAME["bottom"] - part * (FRAME["bottom"] - FRAME["top"]), 1)

    lines = tuple(
        Line(
            curve.label,
            labels.index(curve.label) % STYLES,
            tuple((x(place), y(stat.mean)) for place, stat in curve.points),
        )
        for curve in curves
    )
    unit = metric_unit(first.metric)
    shown = places if len(places) <= ticks else dict.fromkeys((places[0], places[-1]))
    return Chart(
        title=f"{first.task} {metric_title(first.metric)}, {first.model}",
        lines=lines,
        x_ticks=tuple((x(place), text(place)) for place in shown),
        y_ticks=tuple((y(value), number(value, unit)) for value in dict.fromkeys((low, high))),
    )
