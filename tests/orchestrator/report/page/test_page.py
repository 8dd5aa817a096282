"""What the page says, what it leaves out, and its files."""

import base64
import hashlib
import json
import re
import shutil
from html import unescape
from pathlib import Path

import pytest
from markupsafe import escape

from orchestrator.commands.report import report
from orchestrator.deploy.cost.results import write_cost
from orchestrator.report.page import page as module
from orchestrator.report.page.disagreements import Disagreement
from orchestrator.report.page.page import Content, report_html
from orchestrator.report.page.texts import NOT_ASKED
from orchestrator.report.table import comparison
from orchestrator.run_dir.directory import read_data_facts, read_plan
from tests.helpers.command import Command
from tests.helpers.costs import cost_of, measured
from tests.helpers.pages import Tags
from tests.helpers.predicted_grids import grid
from tests.helpers.records import by_key, record, trial
from tests.helpers.reported_run import SCRIPT, write_data
from trainables.data import planned
from trainables.results.predictions import read_predictions
from trainables.results.record import read_records
from trainables.storage.run_dir import RunDir


@pytest.fixture
def copy(run_dir: RunDir, tmp_path: Path) -> RunDir:
    """The run directory, to be changed."""
    shutil.copytree(run_dir.root, tmp_path / "copy")
    return RunDir(tmp_path / "copy")


def page_of(run_dir: RunDir, texts: bool = False) -> str:
    report(run_dir.root, texts=texts)
    return run_dir.report.read_text(encoding="utf-8")


def section(page: str, name: str) -> str:
    """The text of a section, without its tags."""
    part = page.split(f'<section id="{name}">')[1].split("</section>")[0]
    return unescape(" ".join(re.sub(r"<[^>]*>", " ", part).split()))


def test_the_sections_come_in_the_order_of_a_reader_s_questions(page: str) -> None:
    assert re.findall(r'<section id="(\w+)">', page) == [
        "answer", "comparison", "differences", "power", "curves", "confusions", "examples",
        "runs", "data", "numbers", "protocol", "environment", "again",
    ]  # fmt: skip
    parser = Tags()
    parser.feed(page)
    assert parser.open == []


def test_what_was_measured_has_a_section_and_a_figure(copy: RunDir) -> None:
    write_cost(copy, cost_of(read_plan(copy), {"single_task": measured((30.0,), (300.0,)),
                                               "shared_encoder": measured()}))  # fmt: skip
    page = page_of(copy)
    names = re.findall(r'<section id="(\w+)">', page)
    assert names[names.index("differences") + 1] == "cost"
    assert "points for 2.9x the throughput and a third of the memory" in section(page, "answer")
    assert 'aria-label="tiny, against single_task: single_task 0, 33 texts a second;' in page
    assert "Cost to deploy" in section(page, "cost")
    assert {"quality_cost.svg", "quality_cost.png"} <= {p.name for p in copy.figures if p.exists()}
    parser = Tags()
    parser.feed(page)
    assert parser.open == []
    copy.cost.unlink()
    page_of(copy)
    assert "quality_cost.svg" not in {path.name for path in copy.figures if path.exists()}


def test_a_file_that_cannot_be_used_is_a_warning(copy: RunDir, page: str) -> None:
    copy.cost.write_text("{}")
    outcome = report(copy.root)
    assert [line for line in outcome.warnings if "cost.json: damaged, or of another" in line]
    assert copy.report.read_text(encoding="utf-8") == page


def test_the_sections_say_what_is_known(page: str, run_dir: RunDir) -> None:
    records = read_records(run_dir)
    predictions = {
        key: read_predictions(run_dir, record, "validation")
        for key, record in records.items()
        if record.status == "finished"
    }
    facts = read_data_facts(run_dir)
    table = comparison(read_plan(run_dir), records, data=facts, predictions=predictions)
    assert section(page, "answer").startswith(table.verdict[0][:40])
    for c in table.comparisons:
        assert f"{100 * c.margin:g}" in section(page, "power")
        assert c.word in section(page, "differences")
    assert "Headline metric per epoch" in section(page, "curves")
    [failed] = [record for record in records.values() if record.status == "failed"]
    assert f"out of memory (not in the means; trial {failed.key})" in section(page, "runs")
    assert table.warnings[0] in section(page, "data")
    environment = json.loads(run_dir.environment.read_text())
    assert f"torch {environment['packages']['torch']}" in section(page, "environment")
    assert "python -m orchestrator run demo" in section(page, "again")


def test_where_nothing_has_run_the_page_says_so(tmp_path: Path) -> None:
    page = report_html(comparison([trial(), trial("single_task", ["cola"])], {}))
    assert "no predictions" in section(page, "differences")
    assert "No finished trial" in section(page, "curves")
    assert "There are none" in section(page, "confusions")
    assert "no record yet" in section(page, "runs")
    assert "<svg" not in page


def test_a_run_without_fault_says_so() -> None:
    page = report_html(grid(shared_encoder=0.9).table())
    assert "None: every planned trial finished" in section(page, "runs")


def test_the_policy_allows_the_one_script_and_no_other(page: str) -> None:
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in unescape(page)


def test_texts_stand_in_the_page_only_where_they_are_asked_for(
    page: str, page_with_texts: Path
) -> None:
    with_texts = page_with_texts.read_text(encoding="utf-8")
    assert str(escape(SCRIPT)) not in page
    assert NOT_ASKED in section(page, "examples")
    assert section(with_texts, "examples").count(f"{SCRIPT} text 10") > 5
    assert SCRIPT not in with_texts
    assert NOT_ASKED not in section(with_texts, "examples")
    assert 'data-task="mine"' in page


def test_the_command_report_writes_texts_unless_told_not_to(copy: RunDir, command: Command) -> None:
    command("report", str(copy.root))
    assert "text 10" in copy.report.read_text()
    command("report", str(copy.root), "--no-texts")
    assert "text 10" not in copy.report.read_text()


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        (58, "its data is not what the trial was planned with"),
        (0, "the file has no rows"),
    ],
)
def test_texts_of_other_data_are_not_shown(
    size: int, reason: str, run_dir: RunDir, copy: RunDir
) -> None:
    """Not even those of examples that have not changed: rows may have moved."""
    folder = run_dir.root.parent
    try:
        write_data(folder, size)
        planned._load.cache_clear()
        shown = section(page_of(copy, texts=True), "examples")
    finally:
        write_data(folder)
        planned._load.cache_clear()
    assert reason in shown.split("No texts of mine: ")[1]
    assert "text 10" not in shown
    assert "No texts of sentiment" not in shown
    assert re.search(r"mine \d+ , tiny", shown), "the row numbers are there"


def test_the_same_records_give_the_same_page_and_figures(
    page: str, copy: RunDir, run_dir: RunDir
) -> None:
    figures = [path for path in copy.figures if path.exists()]
    names = [path.name for path in figures]
    assert names == ["forest.svg", "forest.png", "learning_curves.svg", "learning_curves.png"]
    for path in figures:
        path.unlink()
    assert page_of(copy) == page
    for path in figures:
        assert path.read_bytes() == (run_dir.root / "figures" / path.name).read_bytes()
    assert not re.search(rb"20\d\d-\d\d-\d\d", figures[0].read_bytes())


def test_what_an_earlier_report_left_does_not_outlive_what_it_shows(copy: RunDir) -> None:
    copy.table("html").write_text("the page of an earlier version")
    shutil.rmtree(copy.predictions("").parent)
    assert "no predictions" in page_of(copy)
    assert not copy.table("html").exists()
    assert [path.name for path in copy.figures if path.exists()] == [
        "learning_curves.svg",
        "learning_curves.png",
    ]


def test_long_lists_are_cut_and_say_how_much_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOST_COMPARISONS", "MOST_MATRICES", "MOST_NOTES"):
        monkeypatch.setattr(module, name, 1)
    table = grid(naive_concat=0.7, shared_encoder=0.9).table()
    assert "8 more comparisons" in section(report_html(table), "differences")
    plan = [trial(seed=seed) for seed in (1, 2, 3)]
    failed = [record(one, status="failed", error=f"reason {one.config.seed}") for one in plan]
    page = report_html(comparison(plan, by_key(*failed)))
    assert "2 more notes" in section(page, "runs")
    assert set(re.findall(r'href="#(note-\d+)"', page)) == {"note-1"}
    one = Disagreement("tiny", "sst2", "sst2", 9, 0, ())
    page = report_html(table, Content(disagreements=[one], disagreements_left_out=3))
    assert "Of 3 more models and tasks" in section(page, "examples")
