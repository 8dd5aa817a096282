"""Lines that the command line prints besides its results."""

import pytest

from tests.helpers.command import Command


@pytest.mark.filterwarnings("default::trainables.errors.RenamedKeyWarning")
def test_the_command_line_shows_the_hint_in_one_line(command: Command) -> None:
    ended = command("plan", "demo", "checkpoint.patience=5")
    assert ended.code == 0
    hint = "warning: checkpoint.patience is now called checkpoint.storage_timeout"
    assert set(ended.err.splitlines()) == {hint}
