"""Fixtures of the orchestrator's tests."""

from pathlib import Path

import pytest

from tests.orchestrator.command import Command


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
) -> Command:
    """The command line with ``tmp_path`` as working directory and token cache."""
    return Command(monkeypatch, capsys, tmp_path)
