"""Cosines between tasks' gradients in reports: a curve per pair, their mean, and a table."""

import io
import json
from collections.abc import Sequence
from typing import Any

import pytest
from rich.console import Console

from orchestrator.report.cosines import MEAN
from orchestrator.report.markup import markdown
from orchestrator.report.page.page import report_html
from orchestrator.report.render import print_table, table_json
from orchestrator.report.table import Table, comparison
from tests.helpers.pages import HOSTILE, Tags
from tests.helpers.records import TASKS, by_key, record, trial

Measured = dict[int, Sequence[float | None]]
"""Step -> the cosine of each pair."""


def table(*seeds: Measured, tasks: Sequence[str] = tuple(TASKS), arm: str = "both") -> Table:
    """One arm; for each seed what it measured, in epochs of 10 steps."""
    plan, records = [], []
    for seed, measured in enumerate(seeds, 41):
        planned = trial(arm, tasks, seed=seed, arm={"strategy": "shared_encoder"})
        history: list[dict[str, Any]] = [
            {
                "epoch": n,
                "step": 10 * n,
                "examples": 100,
                "seconds": 1.0,
                "learning_rate": 0.1,
                "train_loss": 0.5,
                "splits": {},
                "gradient_cosines": [
                    {"step": step, "values": values}
                    for step, values in measured.items()
                    if 10 * (n - 1) < step <= 10 * n
                ],
            }
            for n in (1, 2)
        ]
        plan.append(planned)
        records.append(record(planned, history=history))
    return comparison(plan, by_key(*records))


def test_a_curve_for_each_pair_and_their_mean_over_seeds() -> None:
    first: Measured = {5: (0.4, -0.2, 0.1), 15: (0.1, None, 0.0)}
    second: Measured = {5: (0.2, 0.0, 0.1)}
    made = table(first, second)
    means = {curve.label: [(n, stat.mean) for n, stat in curve.points] for curve in made.cosines}
    assert list(means) == ["cola, sst2", "cola, mrpc", "sst2, mrpc", MEAN]
    assert means["cola, sst2"] == [(5, pytest.approx(0.3)), (15, pytest.approx(0.1))]
    # A step without the cosine of a pair has no mean of all pairs.
    assert means["cola, mrpc"] == [(5, pytest.approx(-0.1))]
    assert means[MEAN] == [(5, pytest.approx(0.1))]
    assert [stat.n for _, stat in made.cosines[0].points] == [2, 1]


def test_reports_show_them_where_there_are_any() -> None:
    made = table({5: (0.4, -0.2, 0.1), 15: (-0.1, -0.3, 0.0)})
    content = json.loads(table_json(made))
    assert [curve["label"] for curve in content["cosines"]][-1] == MEAN
    console = Console(file=io.StringIO(), width=200)
    print_table(console, made)
    page = report_html(made)
    for text in (console.file.getvalue(), markdown(made), page):  # type: ignore[attr-defined]
        assert "Cosines between the tasks" in text
        # Mean, first, last, and the share below 0.
        assert all(number in text for number in ("-0.250", "-0.200", "-0.300", "100.00"))
    assert page.count("<svg") > report_html(table({})).count("<svg")
    without = table({})
    assert without.cosines == ()
    assert "cosines" not in json.loads(table_json(without))
    assert "Cosines between" not in markdown(without)
    assert report_html(made) == page


def test_two_tasks_have_one_curve_and_names_are_escaped() -> None:
    made = table({5: (0.4,)}, tasks=("a", HOSTILE), arm=HOSTILE)
    assert len(made.cosines) == 1
    page = Tags()
    text = report_html(made)
    page.feed(text)
    assert text.count("<script") == 1, "the page's own"
    assert f"a, {HOSTILE}" in page.text
