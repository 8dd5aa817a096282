"""Fixtures of the orchestrator's tests."""

import pytest

from orchestrator.report.tuning import report
from tests.helpers.local_search import LocalSearches


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> LocalSearches:
    """Searches in this process."""
    # Drawing takes longer than a trial, and has tests of its own.
    monkeypatch.setattr(report, "tuning_html", lambda *report: "")
    return LocalSearches()
