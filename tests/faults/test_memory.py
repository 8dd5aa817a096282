"""A machine that runs out of memory: Ray kills workers, and a trial that never fits says so."""

import re

import pytest

from tests.faults.conftest import Figure, Figures
from tests.helpers.ray_grid import Grid, assert_nothing_left, ended
from trainables.results.record import read_kills, read_records

pytestmark = [pytest.mark.ray, pytest.mark.slow]

FULL = {
    # As if the machine had a hundredth of its memory.
    "RAY_memory_usage_threshold": "0.01",
    "RAY_memory_monitor_refresh_ms": "100",
}


def test_a_trial_whose_process_ray_kills_for_its_memory_is_told_to_take_less_and_then_fails(
    grid: Grid, figures: Figures
) -> None:
    process = grid.start("arms=[shared_encoder]", "seeds=[41]", "retries=1", environment=FULL)
    run = ended(process)
    assert_nothing_left(process.pid)
    assert run.code == 1
    [record] = read_records(grid.run_dir).values()
    assert record.status == "failed"
    reason = "its machine ran out of memory and Ray killed its process: lower training.batch_size"
    assert (record.error or "").startswith(reason)
    assert run.err == f"failed: {record.title}: {record.error}\n"
    assert len(re.findall(f"^restarting .* seed 41: {reason}", run.out, re.M)) == 1
    # The attempt after it was told.
    assert read_kills(grid.run_dir, record.key) == 1
    figures.append(
        Figure("memory of the machine full", 2, 1, note="fails with a line that says so")
    )
