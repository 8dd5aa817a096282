"""Fixtures of the orchestrator's tests."""

from pathlib import Path

import pytest

from tests.helpers.command import Command
from tests.helpers.without_ray import WithoutRay


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
) -> Command:
    """The command line with ``tmp_path`` as working directory and token cache."""
    return Command(monkeypatch, capsys, tmp_path)


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> WithoutRay:
    """Searches without Ray."""
    without_ray = WithoutRay()
    without_ray.install(monkeypatch)
    return without_ray
