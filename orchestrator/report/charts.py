"""Where the lines of the report's small charts run: headline metric per epoch, one line per arm."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.report.columns import metric_title, metric_unit
from orchestrator.report.curves import Curve
from orchestrator.report.formats import number

FRAME = {"width": 260, "height": 140, "left": 44, "right": 248, "top": 10, "bottom": 120}
"""Size of a chart and the edges of its axes, in pixels."""

STYLES = 6
"""Line styles that the template knows; more arms than that use them again."""


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


def charts(curves: Sequence[Curve]) -> tuple[Chart, ...]:
    """A chart per task and model; the same arm has the same style everywhere."""
    labels = list(dict.fromkeys(curve.label for curve in curves))
    places = dict.fromkeys((curve.task, curve.model) for curve in curves)
    return tuple(
        _chart([c for c in curves if (c.task, c.model) == place], labels) for place in places
    )


def _chart(curves: Sequence[Curve], labels: Sequence[str]) -> Chart:
    first = curves[0]
    epochs = sorted({epoch for curve in curves for epoch, _ in curve.points})
    values = [stat.mean for curve in curves for _, stat in curve.points]
    low, high = min(values), max(values)

    def x(epoch: float) -> float:
        share = (epoch - epochs[0]) / (epochs[-1] - epochs[0]) if len(epochs) > 1 else 0.5
        return round(FRAME["left"] + share * (FRAME["right"] - FRAME["left"]), 1)

    def y(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(FRAME["bottom"] - share * (FRAME["bottom"] - FRAME["top"]), 1)

    lines = tuple(
        Line(
            curve.label,
            labels.index(curve.label) % STYLES,
            tuple((x(epoch), y(stat.mean)) for epoch, stat in curve.points),
        )
        for curve in curves
    )
    unit = metric_unit(first.metric)
    shown = dict.fromkeys((epochs[0], epochs[-1]))
    return Chart(
        title=f"{first.task} {metric_title(first.metric)}, {first.model}",
        lines=lines,
        x_ticks=tuple((x(epoch), str(epoch)) for epoch in shown),
        y_ticks=tuple((y(value), number(value, unit)) for value in dict.fromkeys((low, high))),
    )
