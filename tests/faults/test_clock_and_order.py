"""Numbers depend neither on the time of day, nor on how many trials run at once, or when."""

import dataclasses
import os
import re
from pathlib import Path

import pytest

from tests.faults.conftest import Figure, Figures, Size
from tests.helpers.ray_grid import Grid, ended
from tests.helpers.reference_run import ReferenceRun

pytestmark = pytest.mark.slow

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
    run = ended(grid.start_interpreter("--local", environment={"PYTHONPATH": path}), seconds=600)
    assert run.code == 0, run
    assert run.err == ""
    reference_run.assert_same_trials(grid.run_dir)
    trials = len(reference_run.trials)
    clocks = re.findall(r"(\S*\d+:\d\d:\d\d) (?:elapsed|to go|after its start)", run.out)
    assert len(clocks) >= trials
    assert all(re.fullmatch(r"0:\d\d:\d\d", clock) for clock in clocks), run.out
    figures.append(Figure("clock jumps by hours, one slot, grid reversed", 1, trials))
