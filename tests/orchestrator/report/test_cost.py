"""Quality and cost in one sentence, and in every format where the cost was measured."""

import json
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from orchestrator.deploy.cost.results import Cost
from orchestrator.report.answers.cost import Ratio, times
from orchestrator.report.markup import latex, markdown
from orchestrator.report.page.forest import MARKS
from orchestrator.report.page.page import figures, report_html
from orchestrator.report.page.quality_cost import (
    draw_points,
    points_by_chart,
    quality_cost_charts,
    spread_out,
)
from orchestrator.report.render import print_table, table_csv, table_json
from orchestrator.report.table import Table, with_cost
from orchestrator.report.views import cost, cost_text
from tests.helpers.costs import cost_of, measured
from tests.helpers.pages import HOSTILE
from tests.helpers.predicted_grids import Grid, grid

GRID = grid(naive_concat=0.7, shared_encoder=0.9)
SINGLE = measured((30.0, 31.0, 32.0), (300.0, 303.0), models=2, megabytes=181.0)
SHARED = measured((10.0, 11.0, 12.0), (100.0, 101.0), megabytes=90.5)


def costly(single: Any = SINGLE, shared: Any = SHARED, grid: Grid = GRID, **changes: Any) -> Table:
    arms = {"single_task": single, "shared_encoder": shared, "naive_concat": shared}
    return with_cost(grid.table(), cost_of(grid.plan, arms, **changes))


def line(table: Table) -> str:
    """What the only answer says of the cost."""
    [passage] = table.passages
    [text] = [own.text for own in passage.lines if own.name == "cost"]
    return text


def test_quality_and_cost_stand_in_one_sentence() -> None:
    table = costly()
    [answer] = table.answers
    points = f"{100 * answer.change:+.2f} ["
    assert line(table).startswith(points)
    assert line(table).endswith(
        "] points for 2.8x the throughput and a third of the memory: one text, all tasks, "
        "90.9 against 32.3 texts a second; peak memory 100 against 302 MB; weights 90.5 against "
        "181 MB."
    )
    assert [own.name for own in table.passages[0].lines[:3]] == [
        "recommendation", "evidence", "cost",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("milliseconds", "peaks", "words"),
    [
        ((10.0, 30.5), (100.0, 101.0), "no measurable difference in throughput and a third of"),
        ((10.0, 11.0), (100.0, 302.0), "3.0x the throughput and no measurable difference in mem"),
        ((60.0, 62.0), (600.0, 610.0), "0.51x the throughput and 2.0x the memory"),
        ((1.0, 1.1), (30.0, 31.0), "30x the throughput and 0.10x the memory"),
        ((15.0, 15.0), (150.0, 151.0), "2.1x the throughput and half the memory"),
    ],
)
def test_what_overlaps_is_no_difference(
    milliseconds: tuple[float, ...], peaks: tuple[float, ...], words: str
) -> None:
    assert words in line(costly(shared=measured(milliseconds, peaks)))


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.1, "0.10x"), (0.999, "1.0x"), (1.0, "1.0x"), (2.94, "2.9x"), (9.96, "10x"), (12.4, "12x")],
)
def test_ratios_have_two_digits(ratio: float, text: str) -> None:
    assert times(ratio) == text


def test_the_ratio_of_a_to_b_is_that_of_b_to_a_turned_round() -> None:
    a, b = SINGLE.peak, SHARED.peak
    assert Ratio.of(a, b).value * Ratio.of(b, a).value == pytest.approx(1)
    assert Ratio.of(a, b).clear
    assert Ratio.of(b, a).clear
    assert not Ratio.of(a, a).clear


def test_arms_of_other_tasks_are_not_compared() -> None:
    made = cost_of(GRID.plan, {"single_task": SINGLE, "shared_encoder": SHARED})
    fewer = [
        own.model_copy(update={"tasks": own.tasks[:1]}) if own.arm == "single_task" else own
        for own in made.arms
    ]
    table = with_cost(GRID.table(), made.model_copy(update={"arms": tuple(fewer)}))
    assert table.costs is not None
    assert table.costs.against == ()
    assert "cost" not in [own.name for own in table.passages[0].lines]


def test_without_measurements_nothing_changes() -> None:
    table = GRID.table()
    assert with_cost(table, None) is table
    assert "costs" not in json.loads(table_json(table))
    assert 'id="cost"' not in report_html(table)
    assert quality_cost_charts(table) == ()
    assert cost(table).rows == ()
    assert cost_text(table) == ()


def test_the_table_has_every_number() -> None:
    table = costly()
    view = cost(table)
    assert {len(row) for row in view.rows} == {len(view.heads)}
    [row] = [row for row in view.rows if row[0].text == "single_task"]
    texts = [f"{field.text} {field.spread}".strip() for field in row]
    latency, rates = "31.0 (31.9)", ["32.3", "1,032"]
    assert texts == [
        "single_task", "tiny", "2", "1.0 k", "181", "302", "1.5 min", latency, *rates, latency,
        *rates,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "Measured on a CPU with 2 threads in fp32, 2026-01-01"),
        ({"device": "GPU X"}, "Measured on GPU X in fp32, 2026"),
        ({"device": "GPU X"}, "Peak memory: GPU memory of torch."),
        ({"texts_of_example": {"sst2": 1, "mrpc": 2}}, "(one text and one pair, all tasks)"),
        ({"texts_of_example": {"sst2": 2, "mrpc": 2}}, "(one pair, all tasks)"),
        ({"unfinished": ("lora tiny",)}, "Not measured, as no seed has finished: lora tiny."),
    ],
)
def test_a_reader_learns_what_was_measured(changes: dict[str, Any], text: str) -> None:
    assert text in " ".join(cost_text(costly(**changes)))


def test_untrained_weights_are_named() -> None:
    text = " ".join(cost_text(costly(shared=SHARED.model_copy(update={"saved": False}))))
    assert "Untrained weights of the same shape, as none were saved: naive_concat, shared" in text
    assert "Untrained" not in " ".join(cost_text(costly()))


def test_every_format_shows_it(capsys: pytest.CaptureFixture) -> None:
    table = costly()
    print_table(Console(width=200), table)
    printed = capsys.readouterr().out
    page = report_html(table)
    for text in (printed, markdown(table), latex(table), page):
        assert "Cost to deploy" in text
        assert "31.0" in text
    for text in (printed, markdown(table), page):
        assert "points for 2.8x the throughput and a third of the memory" in text
    assert table_csv(table) == table_csv(GRID.table())


def test_json_has_the_summaries_and_the_ratios() -> None:
    costs = json.loads(table_json(costly()))["costs"]
    [shared] = [own for own in costs["against"] if own["label"] == "shared_encoder"
                and own["reference"] == "single_task"]  # fmt: skip
    assert shared["throughput"] == {"value": pytest.approx(31 / 11), "clear": True}
    assert shared["weights"] == pytest.approx(0.5)
    assert len(costs["measured"]["deployments"]) == 3
    assert "rounds" not in costs["measured"]["deployments"][0]
    assert costs["measured"]["deployments"][0]["timings"][0]["requests"] == 3


def test_arms_stand_where_their_quality_and_cost_are() -> None:
    [chart] = quality_cost_charts(costly())
    assert chart.title == "tiny, against single_task"
    for text in ("single_task 0, 32 texts a second", "shared_encoder +", "better, 91 texts a"):
        assert text in chart.svg
    axes = Figure().subplots()
    table = costly()
    [points] = points_by_chart(table).values()
    draw_points(axes, points)
    marks = {
        line.get_marker(): (np.ravel(line.get_xdata())[0], np.ravel(line.get_ydata())[0])
        for line in axes.get_lines()
        if line.get_marker() not in ("None", "", None)
    }
    better = next(c for c in table.comparisons if c.primary and c.word == "better")
    assert marks["D"] == (pytest.approx(1000 / 31), 0)
    assert marks[MARKS["better"][1]] == pytest.approx((1000 / 11, 100 * better.difference))


@pytest.mark.parametrize("heights", [[0.5], [0.5, 0.5, 0.51], [0.99, 1.0, 0.98], [0.1, 0.9]])
def test_labels_are_apart_and_in_the_chart(heights: list[float]) -> None:
    moved = spread_out(heights, 0.1)
    assert np.argsort(moved, kind="stable").tolist() == np.argsort(heights, kind="stable").tolist()
    assert min(np.diff(sorted(moved)), default=1.0) >= 0.1 - 1e-9
    assert max(moved) <= 1
    if heights == [0.1, 0.9]:
        assert moved == heights


def test_the_figure_is_a_file_too() -> None:
    names = figures(costly()).keys()
    assert {"quality_cost.svg", "quality_cost.png"} <= names
    assert not {"quality_cost.svg", "quality_cost.png"} & figures(GRID.table()).keys()


def test_hostile_names_stay_text() -> None:
    made = grid(shared_encoder=0.9, changes={"model_name": HOSTILE})
    content = {"single_task": SINGLE, "shared_encoder": SHARED}
    measured_cost: Cost = cost_of(made.plan, content, device=HOSTILE)
    page = report_html(with_cost(made.table(), measured_cost))
    assert HOSTILE not in page
    assert "Cost to deploy" in page
