"""One campaign per run of the tests."""

from pathlib import Path

import pytest

from tests.helpers.command import Command
from tests.helpers.fuzz_campaign import Campaign
from tests.helpers.fuzz_totals import TOTALS


@pytest.fixture
def campaign(pytestconfig: pytest.Config) -> Campaign:
    """Takes cases, of which it makes more with ``--soak``."""
    return Campaign(pytestconfig.stash[TOTALS], bool(pytestconfig.getoption("--soak")))


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
) -> Command:
    """The command line with ``tmp_path`` as working directory and token cache."""
    return Command(monkeypatch, capsys, tmp_path)
