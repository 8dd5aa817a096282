"""The charts of curves in a grid's report: headline metrics, and cosines between gradients.

A thick line is the mean over seeds; over epochs and steps the seeds are thin lines.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from orchestrator.report.columns import metric_title, metric_unit
from orchestrator.report.curves import Curve
from orchestrator.report.rows import Stat
from orchestrator.report.svg import LINE, SERIES, svg
from orchestrator.text import number, share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DASHES = ("solid", "dashed", "dotted")
"""CSS and matplotlib call them alike."""

MARKERS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚"}
"""Matplotlib's name of a marker -> the same as a character; as many as there are colours."""

MOST_SEEDS = 20
"""Seeds of an arm that are drawn."""

_GAP = (nan, Stat(nan, None, 0, {}))
"""A point that ends a line."""

MOST_SHARES = 5
"""Where there are more shares of the data, only the first and the last are named."""


@dataclass(frozen=True)
class LineStyle:
    """How the line of an arm looks; 18 arms differ, more than that use the styles again.

    Attributes:
        color: index into ``svg.SERIES``.
        dash: one of ``DASHES``.
        marker: one of ``MARKERS``.
    """

    color: int
    dash: str
    marker: str

    @property
    def character(self) -> str:
        """The marker in a text."""
        return MARKERS[self.marker]

    @classmethod
    def of(cls, index: int) -> "LineStyle":
        """The style of the arm with this index."""
        color, rounds = index % len(SERIES), index // len(SERIES)
        return cls(color, DASHES[(color + rounds) % len(DASHES)], list(MARKERS)[color])


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
    """Draw the curves of one task and model over epochs, and those of their seeds; only the first
    and last epoch are named."""
    for curve in curves:
        # One line with gaps, which is drawn much faster than a line for each seed.
        broken = [
            (x, stat.by_seed.get(seed, nan))
            for seed in _seeds(curve)
            for x, stat in (*curve.points, _GAP)
        ]
        style = {"color": SERIES[key[curve.label].color], "lw": 0.5, "alpha": 0.55}
        axes.plot(*zip(*broken, strict=True), clip_on=False, **style)
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


def seeds_left_out(curves: Sequence[Curve]) -> bool:
    """Whether curves have more seeds than are drawn."""
    return any(stat.n > MOST_SEEDS for curve in curves for _, stat in curve.points)


def _seeds(curve: Curve) -> list[int]:
    """The seeds of a curve that are drawn."""
    return sorted({seed for _, stat in curve.points for seed in stat.by_seed})[:MOST_SEEDS]


def epochs_figure(curves: Sequence[Curve]) -> tuple[Callable[["Figure"], None], float, float]:
    """All charts over epochs as one figure with its key: what draws it, width and height."""
    charts = _by_chart(curves)
    key = _key(curves)
    across = min(3, len(charts))
    down = -(-len(charts) // across)

    def draw(figure: "Figure") -> None:
        grid = figure.subplots(down, across, squeeze=False).flat
        for axes, members in zip(grid, charts, strict=False):
            draw_epochs(axes, members, key)
            axes.set_title(_title(members[0]))
        for axes in list(grid)[len(charts) :]:
            axes.set_axis_off()
        handles = {
            str(line.get_label()): line
            for axes in figure.axes
            for line in axes.get_lines()
            if line.get_label() in key
        }
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)

    return draw, 2.6 * across, 1.9 * down + 0.2 * -(-len(key) // 3)


def _chart_set(
    curves: Sequence[Curve],
    kind: str,
    draw: Callable[["Axes", Sequence[Curve], Mapping[str, LineStyle]], None],
) -> ChartSet:
    key = _key(curves)
    return ChartSet(
        key,
        tuple(
            _chart(members, f"{kind}-{index}", lambda axes, m=members: draw(axes, m, key))
            for index, members in enumerate(_by_chart(curves))
        ),
    )


def _key(curves: Sequence[Curve]) -> dict[str, LineStyle]:
    labels = dict.fromkeys(curve.label for curve in curves)
    return {label: LineStyle.of(index) for index, label in enumerate(labels)}


def _by_chart(curves: Sequence[Curve]) -> list[list[Curve]]:
    """The curves of each task and model."""
    charts: dict[tuple[str, str], list[Curve]] = {}
    for curve in curves:
        charts.setdefault((curve.task, curve.model), []).append(curve)
    return list(charts.values())


def _title(curve: Curve) -> str:
    return f"{curve.task} {metric_title(curve.metric)}, {curve.model}"


def _chart(curves: Sequence[Curve], name: str, draw: Callable[["Axes"], None]) -> Chart:
    first = curves[0]
    title = _title(first)
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
            marker=style.marker,
            ms=3.5,
            mew=0,
            clip_on=False,
            label=curve.label,
        )
    drawn = [value for line in axes.get_lines() for value in np.asarray(line.get_ydata())]
    ends = list(dict.fromkeys((float(np.nanmin(drawn)), float(np.nanmax(drawn)))))
    unit = metric_unit(curves[0].metric)
    axes.set_yticks(ends, [number(value, unit) for value in ends])


def _positions(curves: Sequence[Curve]) -> list[float]:
    return sorted({position for curve in curves for position, _ in curve.points})
