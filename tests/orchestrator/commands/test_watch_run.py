"""A real run, watched from another process until its own is killed."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.helpers.ray_grid import Grid, until


@pytest.fixture
def grid(tmp_path: Path, tiny_bert: Path) -> Iterator[Grid]:
    grid = Grid(tmp_path, tiny_bert, ("training.epochs=15",))
    yield grid
    grid.end()


def watcher(grid: Grid, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "watch", str(grid.run_dir.root), *options],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_run_is_watched_and_seen_to_die(grid: Grid) -> None:
    run = grid.start_interpreter("--local")
    until(grid.training, run)
    followed, interrupted = watcher(grid), watcher(grid)
    once = watcher(grid, "--once")
    text, _ = once.communicate(timeout=60)
    assert once.returncode == 0, text
    assert " running, " in text
    until(grid.finished, run)
    interrupted.send_signal(signal.SIGINT)
    text, _ = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130, text
    assert "Traceback" not in text
    os.kill(run.pid, signal.SIGKILL)
    run.communicate(timeout=60)
    text, _ = followed.communicate(timeout=60)
    assert followed.returncode == 1, text
    lines = text.splitlines()
    assert any(line.startswith("finished ") for line in lines), text
    last, _, command = lines[-1].partition("; continue with: ")
    assert last.startswith(f"nobody runs this experiment; process {run.pid} on ")
    assert last.endswith(" has died")
    assert shlex.split(command) == run.args
