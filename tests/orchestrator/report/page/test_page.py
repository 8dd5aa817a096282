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
from orchestrator.report.page import page as module
from orchestrator.report.page.page import Content, report_html
from orchestrator.report.page.texts import NOT_ASKED
from orchestrator.report.table import comparison
from tests.helpers.command import Command
from tests.helpers.pages import Tags
from tests.helpers.predicted_grids import grid
from tests.helpers.records import by_key, record, trial
from tests.helpers.reported_run import SCRIPT, write_data
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


def test_the_sections_come_in_the_order_of_a_reader_s_questions(run_dir: RunDir) -> None:
    page = page_of(run_dir)
    assert re.findall(r'<section id="(\w+)">', page) == [
        "answer", "comparison", "differences", "power", "curves", "confusions", "examples",
        "runs", "data", "numbers", "protocol", "environment", "again",
    ]  # fmt: skip
    parser = Tags()
    parser.feed(page)
    assert parser.open == []


def test_the_sections_say_what_is_known(run_dir: RunDir) -> None:
    page, records = page_of(run_dir), read_records(run_dir)
    table = report(run_dir.root).table
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


def test_the_policy_allows_the_one_script_and_no_other(run_dir: RunDir) -> None:
    page = page_of(run_dir)
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in unescape(page)


def test_texts_stand_in_the_page_only_where_they_are_asked_for(run_dir: RunDir) -> None:
    without, with_texts = page_of(run_dir), page_of(run_dir, texts=True)
    assert str(escape(SCRIPT)) not in without
    assert NOT_ASKED in section(without, "examples")
    assert section(with_texts, "examples").count(f"{SCRIPT} text 10") > 5
    assert SCRIPT not in with_texts
    assert NOT_ASKED not in section(with_texts, "examples")
    assert 'data-task="mine"' in without


def test_the_command_report_writes_texts_unless_told_not_to(copy: RunDir, command: Command) -> None:
    command("report", str(copy.root))
    assert "text 10" in copy.report.read_text()
    command("report", str(copy.root), "--no-texts")
    assert "text 10" not in copy.report.read_text()


def test_texts_of_other_data_are_not_shown(run_dir: RunDir) -> None:
    """Not even those of examples that have not changed: rows may have moved."""
    from trainables.data import planned

    folder = run_dir.root.parent
    try:
        write_data(folder, size=58)
        planned._load.cache_clear()
        shown = section(page_of(run_dir, texts=True), "examples")
    finally:
        write_data(folder)
        planned._load.cache_clear()
    assert "No texts of mine: task mine: its data is not what the trial was planned with" in shown
    assert "text 10" not in shown
    assert "No texts of sentiment" not in shown
    assert "mine 1 , tiny" in shown, "the row numbers are there"


def test_texts_that_are_gone_are_not_shown(run_dir: RunDir) -> None:
    from trainables.data import planned

    file = run_dir.root.parent / "validation.csv"
    try:
        file.rename(file.with_suffix(".gone"))
        planned._load.cache_clear()
        shown = section(page_of(run_dir, texts=True), "examples")
    finally:
        file.with_suffix(".gone").rename(file)
        planned._load.cache_clear()
    assert "No texts of mine: " in shown
    assert "validation.csv" in shown


def test_the_same_records_give_the_same_page_and_figures(copy: RunDir, run_dir: RunDir) -> None:
    names = [path.name for path in run_dir.figures]
    assert names == ["forest.svg", "forest.png", "learning_curves.svg", "learning_curves.png"]
    assert page_of(copy, texts=True) == page_of(run_dir, texts=True)
    pairs = list(zip(copy.figures, run_dir.figures, strict=True))
    assert all(one.read_bytes() == other.read_bytes() for one, other in pairs)
    assert not re.search(rb"20\d\d-\d\d-\d\d", copy.figures[0].read_bytes())


def test_figures_of_an_earlier_report_do_not_outlive_what_they_show(copy: RunDir) -> None:
    page_of(copy)
    shutil.rmtree(copy.predictions("").parent)
    assert "no predictions" in page_of(copy)
    assert [path.name for path in copy.figures if path.exists()] == [
        "learning_curves.svg",
        "learning_curves.png",
    ]


def test_the_page_of_an_earlier_version_is_removed(copy: RunDir) -> None:
    copy.table("html").write_text("of before")
    page_of(copy)
    assert not copy.table("html").exists()


def test_long_lists_are_cut_and_say_how_much_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOST_COMPARISONS", "MOST_MATRICES", "MOST_NOTES"):
        monkeypatch.setattr(module, name, 1)
    table = grid(naive_concat=0.7, shared_encoder=0.9).table()
    assert "8 more comparisons" in section(report_html(table), "differences")
    plan = [trial(seed=seed) for seed in (1, 2, 3)]
    failed = [record(one, status="failed", error=f"reason {one.config.seed}") for one in plan]
    page = report_html(comparison(plan, by_key(*failed)), Content())
    assert "2 more notes" in section(page, "runs")
