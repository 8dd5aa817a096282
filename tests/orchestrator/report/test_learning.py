"""Learning curves: which arms belong together, what is drawn and written of them."""

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from orchestrator.report.curve_charts import LineStyle, draw_shares, learning_charts
from orchestrator.report.markup import latex, markdown
from orchestrator.report.page.page import report_html
from orchestrator.report.table import Table, comparison
from tests.helpers.records import by_key, record, right, trial

approx = pytest.approx


def table_of(arms: dict[str, dict[str, Any]], correct: dict[str, int], seeds=(41, 42)) -> Table:
    """``correct`` of 10 right for each arm; one more for the second seed."""
    plan, records = [], []
    for name, arm in arms.items():
        for more, seed in enumerate(seeds):
            fraction = arm.get("train_fraction")
            content = {"strategy": "single_task"} | arm
            limits = {"train_fraction": fraction}
            planned = trial(name, ["sst2"], seed=seed, arm=content, limits=limits)
            plan.append(planned)
            if name in correct:
                records.append(record(planned, {"sst2": right(correct[name] + more, 10)}))
    return comparison(plan, by_key(*records))


TUNED: dict[str, dict[str, Any]] = {
    "tuned": {},
    "tuned_1pct": {"train_fraction": 0.01},
    "tuned_10pct": {"train_fraction": 0.1},
}
ADAPTED = {
    "adapted_100pct": {"start_from": "before"},
    "adapted_10pct": {"start_from": "before", "train_fraction": 0.1},
}
CORRECT = {"tuned": 8, "tuned_1pct": 5, "tuned_10pct": 6, "adapted_100pct": 8, "adapted_10pct": 7}


def test_arms_that_differ_in_their_share_alone_are_one_curve() -> None:
    table = table_of(TUNED | ADAPTED | {"frozen": {"freezing": {"name": "all"}}}, CORRECT)
    tuned, adapted = table.learning
    assert (tuned.label, tuned.task, tuned.metric, tuned.model) == (
        "tuned",
        "sst2",
        "accuracy",
        "tiny",
    )
    assert [(x, s.mean, s.n) for x, s in tuned.points] == [
        (0.01, approx(0.55), 2),
        (0.1, approx(0.65), 2),
        (1.0, approx(0.85), 2),
    ]
    assert adapted.label == "adapted"
    assert [x for x, _ in adapted.points] == [0.1, 1.0]


def test_students_belong_together_though_each_share_has_teachers_of_its_own() -> None:
    teachers = {"teach": {}, "teach_10pct": {"train_fraction": 0.1}}
    students = {
        "learn": {"distillation": {"teachers": "teach"}},
        "learn_10pct": {"distillation": {"teachers": "teach_10pct"}, "train_fraction": 0.1},
    }
    table = table_of(teachers | students, dict.fromkeys(teachers | students, 7))
    assert [curve.label for curve in table.learning] == ["teach", "learn"]


def test_arms_of_one_share_or_without_results_are_no_curve() -> None:
    assert table_of({"one": {}, "same": {}}, {"one": 7, "same": 7}).learning == ()
    assert table_of(TUNED, {}).learning == ()
    assert "share of the training data" not in report_html(table_of({"one": {}}, {"one": 7}))


@pytest.mark.parametrize(
    ("names", "label"),
    [
        (("mine, 1 %", "mine, 10 %"), "mine"),
        (("bert2_1pct", "bert2_10pct"), "bert2"),
        (("bert2", "bert2_10pct"), "bert2"),
        (("few", "many"), "many"),
    ],
)
def test_a_curve_is_called_what_its_arms_have_in_common(names: tuple, label: str) -> None:
    arms = {name: {"train_fraction": x} for name, x in zip(names, (0.01, 0.1), strict=True)}
    assert [c.label for c in table_of(arms, dict.fromkeys(names, 7)).learning] == [label]


def test_two_curves_never_share_a_name() -> None:
    arms = {
        "arm_1": {"train_fraction": 0.1},
        "arm_2": {},
        "arm_3": {"start_from": "arm_2", "train_fraction": 0.1},
        "arm_4": {"start_from": "arm_2"},
    }
    table = table_of(arms, dict.fromkeys(arms, 7))
    assert [curve.label for curve in table.learning] == ["arm_2", "arm_4"]


def test_the_axis_of_shares_is_logarithmic() -> None:
    curves = table_of(TUNED | ADAPTED, CORRECT).learning
    key = learning_charts(curves).key
    axes = Figure().subplots()
    draw_shares(axes, curves, key)
    assert axes.get_xscale() == "log"
    ticks = [
        (tick, label.get_text())
        for tick, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
    ]
    assert ticks == [(0.01, "1 %"), (0.1, "10 %"), (1.0, "100 %")]
    tuned, adapted = axes.get_lines()
    assert np.asarray(tuned.get_xdata()).tolist() == [0.01, 0.1, 1.0]
    assert np.asarray(adapted.get_xdata()).tolist() == [0.1, 1.0]
    assert np.asarray(tuned.get_ydata()).tolist() == approx([0.55, 0.65, 0.85])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["55.00", "85.00"]
    assert tuned.get_color() != adapted.get_color()
    assert key["tuned"] != key["adapted"]


def test_eighteen_arms_have_lines_of_their_own() -> None:
    assert len({LineStyle.of(index) for index in range(18)}) == 18
    assert LineStyle.of(18) == LineStyle.of(0)


def test_every_format_has_the_curves() -> None:
    table = table_of(TUNED | ADAPTED, CORRECT)
    text = markdown(table)
    assert "| arm | model | task | 1 % | 10 % | 100 % |" in text
    assert "| adapted | tiny | sst2 acc % | – | 75.00 ±7.07 | 85.00 ±7.07 |" in text
    assert r"adapted & tiny & sst2 acc \% & -- & 75.00$\pm$7.07" in latex(table)
    page = report_html(table)
    assert "<h3>Headline metric by share of the training data</h3>" in page
    assert page.count('<span class="key">') == 2
    assert page.count("<svg ") == 1
    assert 'aria-label="sst2 acc %, tiny: tuned 55.00, 65.00, 85.00; adapted 75.00, 85.00"' in page
