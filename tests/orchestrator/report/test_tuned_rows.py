"""An arm at the preset's settings and tuned, as two rows: marks, differences, verdict, files."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.report.page.page import report_html
from orchestrator.report.render import table_csv, table_json
from orchestrator.report.results import write_results
from orchestrator.report.table import Table, comparison
from orchestrator.report.verdict import Difference
from tests.helpers.records import Trial, by_key, record, right, trial
from trainables.config.trial import canonical
from trainables.results.record import TrialRecord
from trainables.storage.run_dir import RunDir

approx = pytest.approx
RATES = {"default": {}, "tuned": {"tuned": True, "training": {"learning_rate": 3e-4}}}


def grid(**correct: tuple[int, ...]) -> tuple[list[Trial], dict[str, TrialRecord]]:
    """Rows by ``ARM__default`` or ``ARM__tuned``: right ones of 10 in each class, seed by seed."""
    plan, records = [], []
    for name, scores in correct.items():
        arm, settings = name.split("__")
        for seed, n in enumerate(scores, 41):
            plan.append(trial(arm, ["sst2"], seed=seed, **RATES[settings]))
            records.append(record(plan[-1], {"sst2": right(n, 10)}))
    return plan, by_key(*records)


def table(**correct: tuple[int, ...]) -> Table:
    return comparison(*grid(**correct))


BOTH = {
    "single_task__default": (6, 6),
    "shared_encoder__default": (7, 7),
    "single_task__tuned": (8, 9),
    "shared_encoder__tuned": (7, 7),
}


def test_only_the_key_of_a_tuned_trial_knows_of_tuning(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []

    def spy(content: dict[str, Any]) -> str:
        hashed.append(canonical(content))
        return hashed[-1]

    monkeypatch.setattr("trainables.config.trial.canonical", spy)
    plain, tuned = trial(), trial(tuned=True)
    assert ["tuned" in text for text in hashed] == [False, True]
    assert tuned.key != plain.key == trial(tuned=False).key
    assert "tuned" in tuned.config.title


def test_an_arm_has_a_row_at_the_presets_settings_and_a_tuned_one() -> None:
    rows = table(**BOTH).rows
    assert [(row.label, row.arm, row.tuned) for row in rows if not row.baseline] == [
        ("single_task", "single_task", False),
        ("shared_encoder", "shared_encoder", False),
        ("single_task, tuned", "single_task", True),
        ("shared_encoder, tuned", "shared_encoder", True),
    ]


@pytest.mark.parametrize(
    ("rates", "text"),
    [
        ((1e-4, 1e-4), "; training learning_rate 0.0001"),
        (
            (1e-4, 3e-4),
            "; sst2: training learning_rate 0.0001; mrpc: training learning_rate 0.0003",
        ),
        ((None, 3e-4), "; sst2: as the preset has it; mrpc: training learning_rate 0.0003"),
    ],
)
def test_settings_that_were_chosen_for_each_task_are_listed_task_by_task(
    rates: tuple[float | None, float], text: str
) -> None:
    plan = [
        trial("single_task", [task], tuned=True, arm={"strategy": "single_task", **settings})
        for task, rate in zip(("sst2", "mrpc"), rates, strict=True)
        for settings in [{"training": {"learning_rate": rate}} if rate else {}]
    ]
    records = by_key(*(record(p, {t: right(8, 10) for t in p.config.tasks}) for p in plan))
    [row] = [row for row in comparison(plan, records).rows if not row.baseline]
    assert row.method == f"an encoder and a head per task{text}"


def gap(difference: Difference) -> float:
    assert difference.macro is not None
    return difference.macro.mean


def test_tuned_is_compared_with_tuned() -> None:
    gaps = [(d.label, d.reference, gap(d)) for d in table(**BOTH).differences]
    assert gaps == [
        ("shared_encoder", "single_task", approx(0.1)),
        ("shared_encoder, tuned", "single_task, tuned", approx(-0.15)),
    ]


def test_without_a_tuned_single_task_the_other_one_is_the_reference() -> None:
    made = table(single_task__default=(6,), shared_encoder__tuned=(7,))
    (difference,) = made.differences
    assert (difference.reference, gap(difference)) == ("single_task", approx(0.1))
    assert "ahead of single_task at the preset's settings" in made.verdict[0]


@pytest.mark.parametrize(
    ("default", "answer"),
    [
        ((7, 7), "points the other way"),
        ((5, 5), "points the same way"),
        ((6, 6), "differs"),
    ],
)
def test_the_verdict_speaks_of_tuned_rows_and_then_of_the_others(default, answer) -> None:
    (text,) = table(**BOTH | {"shared_encoder__default": default}).verdict
    tuned, rest = text.split(" At the preset's settings, ")
    assert "tiny: with tuned settings, on the macro average" in tuned
    assert "shared_encoder, is on average 15.00 points behind single_task," in tuned
    assert rest.startswith(f"the answer {answer}: the best multi-task arm, shared_encoder, is ")
    assert ", tuned" not in text


def test_the_verdict_has_a_sentence_alone_where_there_is_nothing_at_the_presets_settings() -> None:
    (text,) = table(single_task__tuned=(6,), shared_encoder__tuned=(7,)).verdict
    assert "with tuned settings" in text
    assert "At the preset's settings" not in text


def test_tuned_rows_that_are_not_there_yet_leave_the_answer_at_the_presets_settings() -> None:
    plan, records = grid(**BOTH)
    kept = {t.key: records[t.key] for t in plan if not t.config.tuned}
    (text,) = comparison(plan, kept).verdict
    assert "no seed is complete in both single_task and a tuned multi-task arm yet" in text
    assert "At the preset's settings, the best multi-task arm, shared_encoder, is " in text


def test_a_tuned_single_task_alone_leaves_the_verdict_as_it_is() -> None:
    few = {k: v for k, v in BOTH.items() if k != "shared_encoder__tuned"}
    without = {k: v for k, v in few.items() if k != "single_task__tuned"}
    assert table(**few).verdict == table(**without).verdict


def test_the_header_says_where_the_settings_come_from() -> None:
    header = dict(table(**BOTH).header)
    assert header["budget"].endswith(
        ", tuned: settings found by search on the selection split, see tuning.md"
    )
    assert "learning rate 0.0003" not in header["budget"]
    assert "selection split carved from train, never on validation" in header["protocol"]


def test_the_selection_split_is_optimistic_for_tuned_rows() -> None:
    planned = trial("shared_encoder", ["sst2"], tuned=True)
    result = {"sst2": {"confusion": right(6, 10)}}
    results = {"validation": result, "selection": result}
    made = comparison([planned], by_key(record(planned, results=results)), "selection")
    assert "optimistic" in dict(made.header)["protocol"]


def test_every_format_tells_the_rows_apart(tmp_path: Path) -> None:
    plan, records = grid(**BOTH)
    made = comparison(plan, records)
    lines = list(csv.DictReader(io.StringIO(table_csv(made))))
    assert [line["tuned"] for line in lines] == ["False", "False", "False", "True", "True"]
    content = json.loads(table_json(made))
    assert [row["tuned"] for row in content["rows"]] == [False, False, False, True, True]
    assert content["differences"][1]["reference"] == "single_task, tuned"
    assert ">single_task, tuned</td>" in report_html(made)
    write_results(RunDir(tmp_path), records)
    rows = csv.DictReader(io.StringIO((tmp_path / "results.csv").read_text()))
    assert {row["key"]: row["tuned"] for row in rows} == {t.key: str(t.config.tuned) for t in plan}


def test_where_nothing_is_tuned_nothing_speaks_of_it(tmp_path: Path) -> None:
    few = {name: scores for name, scores in BOTH.items() if name.endswith("default")}
    plan, records = grid(**few)
    made = comparison(plan, records)
    write_results(RunDir(tmp_path), records)
    texts = [table_csv(made), table_json(made), report_html(made)]
    texts += [(tmp_path / "results.csv").read_text(), *made.verdict]
    assert not [text for text in texts if "tuned" in text or "reference" in text]
