"""A thousand trials in one grid: what the driver's memory and the disk hold of them."""

import dataclasses
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.faults.conftest import Figure, Figures
from tests.helpers.ray_grid import Grid, assert_nothing_left, ended
from trainables.results.record import read_records

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SEEDS = 250
"""Of four trials each."""

GROWTH_MB = 200.0
"""What the driver may take for them, over what it had when a tenth was done."""


def megabytes(folder: Path) -> float:
    """What all files in a folder take; those that vanish meanwhile count nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total / 1e6


def test_a_thousand_trials_leave_records_and_predictions_and_a_driver_that_does_not_grow(
    grid: Grid, soak: bool, figures: Figures
) -> None:
    if not soak:
        pytest.skip("takes minutes: only in make soak")
    grid = dataclasses.replace(grid, settings=(f"seeds={list(range(SEEDS))}",))
    trials = 4 * SEEDS
    process = grid.start(
        "training.epochs=1", "limits={max_train_examples: 32, max_validation_examples: 16}"
    )
    driver = psutil.Process(process.pid)
    early = late = checkpoints = 0.0
    # Somebody must read what a thousand trials say: a full pipe stops the one who speaks.
    with ThreadPoolExecutor(1) as reader:
        ending = reader.submit(ended, process, 3600)
        while not ending.done() and (done := len(grid.finished())) < trials:
            late = driver.memory_info().rss / 1e6
            if done <= trials // 10:
                early = late
            checkpoints = max(checkpoints, megabytes(grid.run_dir.root / "checkpoints"))
            print(f"\r{done} of {trials}, driver {late:.0f} MB", end="", flush=True)
            time.sleep(1.0)
    run = ending.result()
    assert run.code == 0, run.err
    assert_nothing_left(process.pid)
    assert len(read_records(grid.run_dir)) == trials
    assert late - early < GROWTH_MB
    # Two for each of the two trials that run, of which each is below half a megabyte.
    assert checkpoints < 4.0
    assert megabytes(grid.run_dir.root / "checkpoints") == 0.0
    figures.append(
        Figure(
            "a thousand trials",
            0,
            trials,
            note=f"driver {early:.0f} MB after a tenth, {late:.0f} MB at the end; run directory "
            f"{megabytes(grid.run_dir.root):.0f} MB, checkpoints at most {checkpoints:.1f} MB",
        )
    )
