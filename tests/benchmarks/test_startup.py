"""The command line answers at once when there is nothing to train."""

import pytest

from benchmarks.startup import COMMANDS, LIMITS, measure


@pytest.mark.serial
def test_help_and_a_refused_key_are_within_their_limits() -> None:
    shortest = {name: min(times) for name, times in measure(3).items()}
    assert {name for name in COMMANDS if shortest[name] > LIMITS[COMMANDS[name][0]]} == set()
