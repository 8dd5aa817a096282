"""A number is bold only where a verdict says so, in every format alike."""

import io
import re
from typing import Any

import pytest
from rich.console import Console

from orchestrator.report.markup import latex, markdown
from orchestrator.report.page.page import report_html
from orchestrator.report.render import print_table
from orchestrator.report.table import Table
from tests.helpers.predicted_grids import grid


def bold(table: Table) -> dict[str, set[str]]:
    """Label of a row -> keys of the columns in which it is bold."""
    return {
        row.label: {key for key, cell in row.cells.items() if cell.better} for row in table.rows
    }


COMPARED = {"macro", "sst2.accuracy", "mrpc.accuracy"}


@pytest.mark.parametrize(
    ("accuracy", "winners"),
    [
        ({"naive_concat": 0.7, "shared_encoder": 0.9}, {"shared_encoder"}),
        ({"naive_concat": 0.7, "shared_encoder": 0.8}, {"shared_encoder", "single_task"}),
        ({"naive_concat": 0.7}, {"single_task"}),
        ({"naive_concat": 0.8, "shared_encoder": 0.8}, set()),
    ],
)
def test_bold_is_who_is_better_than_some_arm_and_worse_than_none(
    accuracy: dict[str, Any], winners: set[str]
) -> None:
    found = bold(grid(**accuracy).table())
    assert {label for label, columns in found.items() if columns} == winners
    assert all(found[label] == COMPARED for label in winners)


def test_of_one_task_macro_is_the_task() -> None:
    found = bold(grid(tasks=("sst2",), shared_encoder=0.9).table())
    assert found["shared_encoder"] == {"macro", "sst2.accuracy"}


def test_without_predictions_nothing_is_bold_however_far_ahead() -> None:
    table = grid(shared_encoder=0.9).table(predictions=None)
    assert not any(bold(table).values())
    page = report_html(table)
    assert "Nothing is bold" in page
    assert "<strong>" not in page


def test_every_format_marks_the_same_numbers() -> None:
    table = grid(naive_concat=0.7, shared_encoder=0.9).table()
    [row] = [row for row in table.rows if row.label == "shared_encoder"]
    wanted = [f"{100 * row.cells[c.key].stat.mean:.2f}" for c in table.columns if c.key in COMPARED]  # type: ignore[union-attr]
    console = Console(width=200, file=io.StringIO(), record=True)
    print_table(console, table)
    compact = {
        "markdown": re.findall(r"\*\*([\d.]+)\*\*", markdown(table).split("### All")[0]),
        "latex": re.findall(r"\\textbf\{([\d.]+)\}", latex(table)),
        "html": re.findall(
            r"<strong>([\d.]+)</strong>", report_html(table).split("All numbers")[1]
        ),
        "terminal": re.findall(r"([\d.]+)\*", console.export_text()),
    }
    assert compact == dict.fromkeys(compact, wanted)
