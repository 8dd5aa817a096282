"""The charts of curves in a grid's report: headline metrics, and cosines between gradients."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from orchestrator.report.columns import metric_title, metric_unit
from orchestrator.report.curves import Curve
from orchestrator.report.svg import LINE, SERIES, svg
from orchestrator.text import number, share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DASHES = ("solid", "dashed", "dotted")
"""CSS and matplotlib call them alike."""

MOST_SHARES = 5
"""Where there are more shares of the data, only the first and the last are named."""


@dataclass(frozen=True)
class LineStyle:
    """How the line of an arm looks; 18 arms differ, more than that use the styles again.

    Attributes:
        color: index into ``svg.SERIES``.
        dash: one of ``DASHES``.
    """

    color: int
    dash: str

    @classmethod
    def of(cls, index: int) -> "LineStyle":
        """The style of the arm with this index."""
        color, rounds = index % len(SERIES), index // len(SERIES)
        return cls(color, DASHES[(color + rounds) % len(DASHES)])


@dataclass(frozen=True)
class Chart:
    """One task and model, drawn."""

    title: str
    svg: Markup


@dataclass(frozen=True)
class ChartSet:
    """Charts that share a key.

    Attributes:
        key: label of each arm -> the style of its line, the same in all charts.
        charts: one for each task and model.
    """

    key: Mapping[str, LineStyle]
    charts: tuple[Chart, ...]


def epoch_charts(curves: Sequence[Curve]) -> ChartSet:
    """The charts over epochs."""
    return _chart_set(curves, "epochs", draw_epochs)


def learning_charts(curves: Sequence[Curve]) -> ChartSet:
    """The charts over shares of the training data, on a logarithmic axis."""
    return _chart_set(curves, "shares", draw_shares)


def cosine_charts(curves: Sequence[Curve]) -> ChartSet:
    """The charts of cosines between gradients over optimiser steps, one for each arm and model."""
    return _chart_set(curves, "cosines", draw_steps)


def draw_steps(axes: "Axes", curves: Sequence[Curve], key: Mapping[str, LineStyle]) -> None:
    """Draw the pairs of one arm and model over optimiser steps, and where they are orthogonal."""
    axes.axhline(0.0, color=LINE, lw=0.8)
    draw_epochs(axes, curves, key)


def draw_epochs(axes: "Axes", curves: Sequence[Curve], key: Mapping[str, LineStyle]) -> None:
    """Draw the curves of one task and model over epochs; only the first and last are named."""
    _draw(axes, curves, key)
    epochs = _positions(curves)
    ends = list(dict.fromkeys((epochs[0], epochs[-1])))
    axes.set_xticks(ends, [f"{epoch:g}" for epoch in ends])


def draw_shares(axes: "Axes", curves: Sequence[Curve], key: Mapping[str, LineStyle]) -> None:
    """Draw the curves of one task and model over shares of the training data."""
    axes.set_xscale("log")
    _draw(axes, curves, key)
    shares = _positions(curves)
    named = shares if len(shares) <= MOST_SHARES else [shares[0], shares[-1]]
    axes.set_xticks(named, [share(value) for value in named])
    axes.set_xticks([], minor=True)


def _chart_set(
    curves: Sequence[Curve],
    kind: str,
    draw: Callable[["Axes", Sequence[Curve], Mapping[str, LineStyle]], None],
) -> ChartSet:
    labels = dict.fromkeys(curve.label for curve in curves)
    key = {label: LineStyle.of(index) for index, label in enumerate(labels)}
    charts: dict[tuple[str, str], list[Curve]] = {}
    for curve in curves:
        charts.setdefault((curve.task, curve.model), []).append(curve)
    return ChartSet(
        key,
        tuple(
            _chart(members, f"{kind}-{index}", lambda axes, m=members: draw(axes, m, key))
            for index, members in enumerate(charts.values())
        ),
    )


def _chart(curves: Sequence[Curve], name: str, draw: Callable[["Axes"], None]) -> Chart:
    first = curves[0]
    title = f"{first.task} {metric_title(first.metric)}, {first.model}"
    unit = metric_unit(first.metric)
    values = "; ".join(
        f"{curve.label} {', '.join(number(stat.mean, unit) for _, stat in curve.points)}"
        for curve in curves
    )

    def on_figure(figure: "Figure") -> None:
        draw(figure.subplots())

    return Chart(title, svg(on_figure, name, f"{title}: {values}", 3.4, 1.8, themed=True))


def _draw(axes: "Axes", curves: Sequence[Curve], key: Mapping[str, LineStyle]) -> None:
    for curve in curves:
        style = key[curve.label]
        positions, stats = zip(*curve.points, strict=True)
        means = [stat.mean for stat in stats]
        axes.plot(
            positions,
            means,
            color=SERIES[style.color],
            linestyle=style.dash,
            lw=1.5,
            marker="o",
            ms=3,
            mew=0,
            clip_on=False,
            label=curve.label,
        )
    means = [stat.mean for curve in curves for _, stat in curve.points]
    ends = list(dict.fromkeys((min(means), max(means))))
    unit = metric_unit(curves[0].metric)
    axes.set_yticks(ends, [number(value, unit) for value in ends])


def _positions(curves: Sequence[Curve]) -> list[float]:
    return sorted({position for curve in curves for position, _ in curve.points})
