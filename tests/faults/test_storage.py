"""A run directory that disappears and returns, and a disk that is full, with and without help."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Figure, Figures, Size
from tests.helpers.ray_grid import Grid, assert_nothing_left, ended, until
from tests.helpers.reference_run import ReferenceRun

pytestmark = pytest.mark.slow

AWAY_SECONDS = 3.0
"""How long the run directory is gone or full."""


@pytest.fixture
def small_disk(grid: Grid) -> Iterator[Path]:
    """The grid's folder as a disk of 64 MB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(grid.folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here: run as root or under unshare -rm")
    yield grid.folder
    subprocess.run(["umount", "--lazy", str(grid.folder)], check=True)


def fill(disk: Path) -> Path:
    """Take all the room that is left; the file that does it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1))
    return ballast


def test_a_directory_that_vanishes_and_returns_is_waited_for_and_not_made_anew(
    grid: Grid, size: Size, reference_run: ReferenceRun, figures: Figures, quiet: float | None
) -> None:
    there, away = grid.run_dir.root, grid.folder / "elsewhere"
    began = time.monotonic()
    process = grid.start("checkpoint.storage_timeout=120", "--local")
    for absence in range(size.absences):
        # The first time in the midst of training, then whenever it comes.
        until(lambda before=absence: before or grid.checkpointed(), process)
        there.rename(away)
        end = time.monotonic() + AWAY_SECONDS
        while time.monotonic() < end:
            assert not there.exists()
            time.sleep(0.02)
        away.rename(there)
        time.sleep(1.0)
    run = ended(process, seconds=600)
    assert run.code == 0, run
    assert run.err == ""
    assert_nothing_left(process.pid)
    reference_run.assert_same(grid.run_dir)
    extra = None if quiet is None else time.monotonic() - began - quiet
    trials = len(reference_run.trials)
    figures.append(Figure("run directory gone", size.absences, trials, extra=extra))


def test_a_full_disk_is_waited_for_and_then_ends_the_run_with_a_line_that_names_it(
    grid: Grid, small_disk: Path, reference_run: ReferenceRun, figures: Figures
) -> None:
    process = grid.start("checkpoint.storage_timeout=2", "--local")
    until(grid.checkpointed, process)
    ballast = fill(small_disk)
    run = ended(process)
    assert run.code == 1
    told = [line for line in run.err.splitlines() if "No space left on device" in line]
    assert any(str(grid.run_dir.root) in line for line in told), run.err
    assert "Traceback" not in run.err
    assert_nothing_left(process.pid)
    ballast.unlink()

    began = time.time()
    process = grid.start("checkpoint.storage_timeout=120", "--local")
    until(lambda: grid.training(since=began), process)
    ballast = fill(small_disk)
    time.sleep(AWAY_SECONDS)
    assert process.poll() is None
    ballast.unlink()
    run = ended(process, seconds=600)
    assert run.code == 0, run
    reference_run.assert_same(grid.run_dir)
    figures.append(Figure("disk full", 2, len(reference_run.trials)))
