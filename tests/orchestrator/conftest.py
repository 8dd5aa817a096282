"""Fixtures of the orchestrator's tests."""

from pathlib import Path

import pytest

from orchestrator.report.tuning import report
from tests.helpers.command import Command
from tests.helpers.local_search import LocalSearches


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
) -> Command:
    """The command line with ``tmp_path`` as working directory and token cache."""
    return Command(monkeypatch, capsys, tmp_path)


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> LocalSearches:
    """Searches in this process."""
    # Drawing takes longer than a trial, and has tests of its own.
    monkeypatch.setattr(report, "tuning_html", lambda *report: "")
    return LocalSearches()
