"""One run directory and its pages for all tests of the page."""

import shutil
from pathlib import Path

import pytest

from orchestrator.commands.report import report
from orchestrator.deploy.cost.results import write_cost
from orchestrator.run_dir.directory import read_plan
from tests.helpers.costs import cost_of, measured
from tests.helpers.reported_run import reported_run
from trainables.storage.run_dir import RunDir


@pytest.fixture(scope="package")
def run_dir(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """Of three arms and two tasks, with predictions and its report; not to be changed."""
    made = reported_run(tmp_path_factory.mktemp("reported"), tiny_bert)
    report(made.root)
    return made


@pytest.fixture(scope="package")
def page(run_dir: RunDir) -> str:
    """Its page without texts."""
    return run_dir.report.read_text(encoding="utf-8")


@pytest.fixture(scope="package")
def page_with_texts(page: str, run_dir: RunDir, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its page with texts, and with the cost of two arms: a file."""
    copy = RunDir(tmp_path_factory.mktemp("with-texts") / "run")
    shutil.copytree(run_dir.root, copy.root)
    arms = {"single_task": measured((30.0, 31.0)), "shared_encoder": measured()}
    write_cost(copy, cost_of(read_plan(copy), arms))
    report(copy.root, texts=True)
    return copy.report
