"""The command line answers at once when there is nothing to train."""

import subprocess
import sys

import pytest

from benchmarks.startup import COMMANDS
from tests.conftest import PROJECT

SLOW = ("ray", "torch", "transformers", "datasets", "pandas", "matplotlib")
"""Packages that take a large part of a second or more to import."""

SCRIPT = f"""
import sys
from orchestrator.cli.app import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(sorted(set({SLOW!r}) & sys.modules.keys()))
"""


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_help_and_a_refused_key_import_no_slow_package(command: tuple[str, ...]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, *command],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout.splitlines()[-1] == "[]"
