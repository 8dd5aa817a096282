"""Numbers depend neither on the time of day, nor on how many trials run at once, or when."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import PROJECT
from tests.faults.conftest import Figure, Figures, Size
from tests.helpers.ray_grid import Grid
from tests.helpers.reference_run import ReferenceRun

JUMPING = Path(__file__).with_name("jumping_clock")


def test_a_clock_that_jumps_by_hours_and_one_slot_and_another_order_change_nothing(
    grid: Grid, size: Size, reference_run: ReferenceRun, figures: Figures
) -> None:
    """Other tests of this folder run two trials at once."""
    backwards = dataclasses.replace(size, seeds=size.seeds[::-1])
    arms = "arms=[shared_encoder,naive_concat,single_task]"
    one_slot = "resources.max_concurrent=1"
    grid = dataclasses.replace(grid, settings=(*backwards.settings, arms, one_slot))
    path = os.pathsep.join([str(JUMPING), *filter(None, [os.environ.get("PYTHONPATH")])])
    cache = {"ONE_OR_MANY_CACHE": str(grid.folder / "cache")}
    run = subprocess.run(
        [sys.executable, "-m", "orchestrator", *grid.arguments(), "--local"],
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": path} | cache,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert (run.returncode, run.stderr) == (0, "")
    reference_run.assert_same_trials(grid.run_dir)
    trials = len(reference_run.trials)
    clocks = re.findall(r"(\S*\d+:\d\d:\d\d) (?:elapsed|to go|after its start)", run.stdout)
    assert len(clocks) >= trials
    assert all(re.fullmatch(r"0:\d\d:\d\d", clock) for clock in clocks), run.stdout
    figures.append(Figure("clock jumps by hours, one slot, grid reversed", 1, trials))
