"""One campaign per run of the tests, told at its end."""

from pathlib import Path
from secrets import randbits

import pytest

from tests.fuzz.campaign import Campaign
from tests.orchestrator.command import Command

_CAMPAIGN = pytest.StashKey[Campaign]()


def pytest_configure(config: pytest.Config) -> None:
    soak = bool(config.getoption("--soak"))
    config.stash[_CAMPAIGN] = Campaign(randbits(32) if soak else 1, soak)


@pytest.fixture
def campaign(request: pytest.FixtureRequest) -> Campaign:
    """Takes cases, of which it makes more with ``--soak``."""
    return request.config.stash[_CAMPAIGN]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
) -> Command:
    """The command line with ``tmp_path`` as working directory and token cache."""
    return Command(monkeypatch, capsys, tmp_path)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    campaign = config.stash[_CAMPAIGN]
    if campaign.totals:
        terminalreporter.section("bad input")
        for line in campaign.summary():
            terminalreporter.write_line(line)
