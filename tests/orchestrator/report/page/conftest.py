"""One run directory and its pages for all tests of the page."""

from pathlib import Path

import pytest

from orchestrator.commands.report import report
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
    """Its page with texts, a file."""
    report(run_dir.root, texts=True)
    path = tmp_path_factory.mktemp("with-texts") / "report.html"
    run_dir.report.rename(path)
    return path
