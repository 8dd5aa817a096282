"""The forest plot shows each difference where it is."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from orchestrator.report.page.forest import MARKS, draw_forest, forest_charts, forest_figure
from tests.helpers.predicted_grids import grid

TABLE = grid(naive_concat=0.7, shared_encoder=0.9).table()


def test_points_intervals_and_margins_are_where_they_belong() -> None:
    axes = Figure().subplots()
    primary = [c for c in TABLE.comparisons if c.primary]
    draw_forest(axes, primary)
    lines = [np.asarray(line.get_xdata(), dtype=float) for line in axes.get_lines()[:-1]]
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    for number, c in enumerate(primary):
        interval, inner, point = lines[3 * number : 3 * number + 3]
        assert interval == pytest.approx(100 * np.array(c.interval))
        assert inner == pytest.approx(100 * np.array(c.equivalence_interval))
        assert point == pytest.approx([100 * c.difference])
        assert (bars[number].get_x(), bars[number].get_width()) == pytest.approx(
            (-100 * c.margin, 200 * c.margin)
        )
        assert axes.get_lines()[3 * number + 2].get_marker() == MARKS[c.word][1]
    texts = [text.get_text() for text in axes.texts]
    assert texts[:2] == ["naive_concat – single_task", "worse"]


def test_words_differ_in_marker_and_colour() -> None:
    assert len({color for color, _ in MARKS.values()}) == len(MARKS)
    assert len({marker for _, marker in MARKS.values()}) == len(MARKS)


def test_a_chart_for_the_macro_average_and_one_for_the_tasks() -> None:
    macro, tasks = forest_charts(TABLE.comparisons)
    assert (macro.title, tasks.title) == ("tiny, macro average", "tiny, single tasks")
    assert "sst2: naive_concat – single_task" in tasks.svg
    [alone] = forest_charts(grid(tasks=("sst2",), shared_encoder=0.9).table().comparisons)
    assert alone.title == "tiny, sst2"


def test_long_names_are_wrapped_and_none_is_cut() -> None:
    from dataclasses import replace

    name = "an arm with a very long name that says all of its settings, one after the other"
    c = replace(TABLE.comparisons[0], label=name)
    axes = Figure().subplots()
    draw_forest(axes, [c])
    lines = axes.texts[0].get_text().split("\n")
    assert len(lines) == 2
    assert " ".join(lines) == f"{name} – {c.reference}"


def test_all_charts_fit_one_figure() -> None:
    draw, width, height = forest_figure(TABLE.comparisons)
    figure = Figure(figsize=(width, height))
    draw(figure)
    assert [axes.get_title() for axes in figure.axes] == [
        "tiny, macro average",
        "tiny, single tasks",
    ]
    first, second = (axes.get_ylim()[0] for axes in figure.axes)
    assert first == second, "rows are equally high"
