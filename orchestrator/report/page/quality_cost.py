"""Quality against cost: each arm's difference to ``single_task`` over its throughput."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from orchestrator.deploy.cost.results import Spread
from orchestrator.report.answers.cost import Costs, all_tasks
from orchestrator.report.curve_charts import Chart
from orchestrator.report.page.forest import MARKS
from orchestrator.report.svg import DIM, INK, LINE, svg
from orchestrator.report.table import ComparedRows, Table
from orchestrator.report.verdict import REFERENCE
from orchestrator.text import number, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 4.2, 2.9
"""In inches, of a chart."""
LABEL = 0.06
"""Height of a label, as a share of the chart's."""


@dataclass(frozen=True)
class Point:
    """An arm in a chart.

    Attributes:
        label: of its row.
        rate: texts a second, of requests for all tasks about single texts.
        compared: against the reference; None for the reference itself, which is at 0.
    """

    label: str
    rate: Spread
    compared: ComparedRows | None

    @property
    def value(self) -> float:
        """Points above the reference."""
        return 0.0 if self.compared is None else 100 * self.compared.difference

    @property
    def text(self) -> str:
        """For those who do not see the chart."""
        rate = f"{number(self.rate.median, 'count')} texts a second"
        if self.compared is None:
            return f"{self.label} 0, {rate}"
        low, high = (signed(value, "percent") for value in self.compared.interval)
        difference = signed(self.compared.difference, "percent")
        return f"{self.label} {difference} [{low}, {high}] {self.compared.word}, {rate}"


def quality_cost_charts(table: Table) -> tuple[Chart, ...]:
    """A chart for each reference and its model; none where nothing was measured."""
    charts = []
    for index, (title, points) in enumerate(points_by_chart(table).items()):

        def draw(figure: "Figure", points: Sequence[Point] = points) -> None:
            draw_points(figure.subplots(), points)

        values = "; ".join(point.text for point in points)
        image = svg(draw, f"quality-cost-{index}", f"{title}: {values}", WIDTH, HEIGHT, themed=True)
        charts.append(Chart(title, image))
    return tuple(charts)


def quality_cost_figure(table: Table) -> tuple[Callable[["Figure"], None], float, float] | None:
    """All charts as one figure, one below the other: what draws it, width and height."""
    charts = points_by_chart(table)
    if not charts:
        return None

    def draw(figure: "Figure") -> None:
        for axes, (title, points) in zip(
            figure.subplots(len(charts), squeeze=False)[:, 0], charts.items(), strict=True
        ):
            draw_points(axes, points)
            axes.set_title(title)

    return draw, WIDTH, (HEIGHT + 0.2) * len(charts)


def draw_points(axes: "Axes", points: Sequence[Point]) -> None:
    """Draw arms: points over texts a second, intervals up and down, the rounds' range across.

    Args:
        axes: empty.
        points: of one chart.
    """
    margins = [100 * point.compared.margin for point in points if point.compared is not None]
    axes.axhspan(-margins[0], margins[0], color=LINE, alpha=0.6, lw=0)
    axes.axhline(0, color=DIM, lw=0.6, zorder=0)
    for point in points:
        color, marker = (INK, "D") if point.compared is None else MARKS[point.compared.word]
        y = point.value
        if point.compared is not None:
            ends = [100 * value for value in point.compared.interval]
            axes.plot([point.rate.median] * 2, ends, color=color, lw=1)
        axes.plot([point.rate.low, point.rate.high], [y, y], color=color, lw=1)
        axes.plot(point.rate.median, y, marker, color=color, ms=5.5, mew=0)
    axes.set_xlim(left=0)
    low, high = axes.get_ylim()
    heights = [(point.value - low) / (high - low) for point in points]
    for point, height in zip(points, spread_out(heights, LABEL), strict=True):
        axes.annotate(
            point.label, (point.rate.median, point.value), xytext=(1.04, height),
            textcoords="axes fraction", va="center", color=INK, zorder=1.5,
            arrowprops={"arrowstyle": "-", "color": LINE, "lw": 0.6},
        )  # fmt: skip
    axes.set_xlabel("texts a second, all tasks")
    axes.set_ylabel(f"points above {REFERENCE}")


def spread_out(heights: Sequence[float], gap: float) -> list[float]:
    """Heights in a chart, moved until they are ``gap`` apart, in their order, and below 1."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    moved = list(heights)
    for below, above in pairwise(order):
        moved[above] = max(moved[above], moved[below] + gap)
    top = 1.0
    for index in reversed(order):
        moved[index] = min(moved[index], top)
        top = moved[index] - gap
    return moved


def points_by_chart(table: Table) -> dict[str, list[Point]]:
    """Title -> the reference, then what is compared with it."""
    charts: dict[str, list[Point]] = {}
    if table.costs is None:
        return charts
    references = {(r.label, r.model) for r in table.rows if r.strategy == REFERENCE}
    measured = {(own.label, own.reference, own.model) for own in table.costs.against}
    for c in table.comparisons:
        if not c.primary or (c.label, c.reference, c.model) not in measured:
            continue
        rows = [_rate(table.costs, label, c.model) for label in (c.label, c.reference)]
        if (c.reference, c.model) not in references or rows[0] is None or rows[1] is None:
            continue
        title = f"{c.model}, against {c.reference}"
        points = charts.setdefault(title, [Point(c.reference, rows[1], None)])
        points.append(Point(c.label, rows[0], c))
    return charts


def _rate(costs: Costs, label: str, model: str) -> Spread | None:
    measured = costs.row(label, model)
    return None if measured is None else all_tasks(measured[1]).texts_per_second
