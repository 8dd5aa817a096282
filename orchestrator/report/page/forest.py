"""The forest plot: every difference with its interval, over the shaded margin."""

from collections.abc import Callable, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from orchestrator.report.curve_charts import Chart
from orchestrator.report.svg import DIM, INK, LINE, SERIES, svg
from orchestrator.report.table import ComparedRows
from orchestrator.text import signed
from trainables.results.record import MACRO

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKS = {
    "better": (SERIES[2], "^"),
    "worse": (SERIES[1], "v"),
    "equivalent": (SERIES[0], "s"),
    "undecided": (DIM, "o"),
    "unstable": (SERIES[3], "X"),
}
"""Word -> colour and marker."""

WIDTH = 4.2
"""In inches, of a chart."""
ROW = 0.17
"""In inches, of a line of text."""
GAP = 1.2
"""Lines that an interval takes."""
CHARACTERS = 70
"""That fit in a line."""
LONGEST_WORD = 12


def forest_charts(comparisons: Sequence[ComparedRows]) -> tuple[Chart, ...]:
    """For each model a chart of the primary comparisons and one of those on single tasks."""
    charts = []
    for index, ((model, primary), members) in enumerate(_by_chart(comparisons).items()):
        title = f"{model}, {_what(primary, members)}"
        values = "; ".join(
            f"{_name(c, primary)} {signed(c.difference, 'percent')} "
            f"[{signed(c.interval[0], 'percent')}, {signed(c.interval[1], 'percent')}] {c.word}"
            for c in members
        )

        def draw(figure: "Figure", members: Sequence[ComparedRows] = members) -> None:
            draw_forest(figure.subplots(), members)

        height = _height(_lines(members))
        image = svg(draw, f"forest-{index}", f"{title}: {values}", WIDTH, height, themed=True)
        charts.append(Chart(title, image))
    return tuple(charts)


def forest_figure(
    comparisons: Sequence[ComparedRows],
) -> tuple[Callable[["Figure"], None], float, float]:
    """All charts as one figure, a row for each model: what draws it, width and height."""
    charts = _by_chart(comparisons)
    models = list(dict.fromkeys(model for model, _ in charts))
    kinds = sorted({primary for _, primary in charts}, reverse=True)
    lines = {x: max(_lines(m) for (model, _), m in charts.items() if model == x) for x in models}
    heights = [_height(number) for number in lines.values()]

    def draw(figure: "Figure") -> None:
        grid = figure.subplots(
            len(models), len(kinds), squeeze=False, gridspec_kw={"height_ratios": heights}
        )
        for row, model in zip(grid, models, strict=True):
            for axes, primary in zip(row, kinds, strict=True):
                members = charts.get((model, primary))
                if members is None:
                    axes.set_axis_off()
                    continue
                draw_forest(axes, members, lines[model])
                axes.set_title(f"{model}, {_what(primary, members)}")

    return draw, WIDTH * len(kinds), sum(heights) + 0.2 * len(models)


def draw_forest(
    axes: "Axes", comparisons: Sequence[ComparedRows], lines: float | None = None
) -> None:
    """Draw comparisons of one model from above to below, in points.

    The thin line is the interval that excludes 0 where a difference is claimed, the thick one that
    which lies within the margin where arms are equivalent.

    Args:
        axes: empty.
        comparisons: what is drawn.
        lines: for how many lines of text there is room; None: for these.
    """
    top = 0.0
    for c in comparisons:
        color, marker = MARKS[c.word]
        name = _wrapped(c)
        y = top + len(name) + 0.5
        axes.barh(y, 200 * c.margin, left=-100 * c.margin, height=0.9, color=LINE, alpha=0.6)
        for (low, high), width in ((c.interval, 1.0), (c.equivalence_interval, 2.6)):
            ends = (100 * low, 100 * high)
            axes.plot(ends, (y, y), color=color, lw=width, solid_capstyle="butt")
        axes.plot(100 * c.difference, y, marker, color=color, ms=5.5, mew=0)
        axes.text(
            0, top + len(name) / 2, "\n".join(name), transform=axes.get_yaxis_transform(),
            va="center", ha="left", color=INK, linespacing=1.35,
        )  # fmt: skip
        axes.text(
            1, top + len(name) - 0.5, c.word, transform=axes.get_yaxis_transform(),
            va="center", ha="right", color=DIM,
        )  # fmt: skip
        top += len(name) + GAP
    axes.axvline(0, color=DIM, lw=0.6, zorder=0)
    axes.set_ylim(lines or _lines(comparisons), 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("difference in points")


def _by_chart(
    comparisons: Sequence[ComparedRows],
) -> dict[tuple[str, bool], list[ComparedRows]]:
    charts: dict[tuple[str, bool], list[ComparedRows]] = {}
    for c in comparisons:
        charts.setdefault((c.model, c.primary), []).append(c)
    return charts


def _what(primary: bool, members: Sequence[ComparedRows]) -> str:
    if not primary:
        return "single tasks"
    return "macro average" if members[0].scope == MACRO else members[0].scope


def _name(c: ComparedRows, primary: bool) -> str:
    return ("" if primary else f"{c.scope}: ") + f"{c.label} – {c.reference}"


def _wrapped(c: ComparedRows) -> list[str]:
    """The name in lines; the last one leaves room for the word."""
    name = _name(c, c.primary)
    lines = wrap(name, CHARACTERS)
    return (
        lines
        if len(lines[-1]) <= CHARACTERS - LONGEST_WORD
        else wrap(name, CHARACTERS - LONGEST_WORD)
    )


def _lines(comparisons: Sequence[ComparedRows]) -> float:
    """Height of a chart in lines of text."""
    return sum(len(_wrapped(c)) + GAP for c in comparisons)


def _height(lines: float) -> float:
    """The same in inches, with its axis."""
    return 0.45 + ROW * lines
