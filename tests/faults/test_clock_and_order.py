"""Numbers depend neither on the time of day, nor on how many trials run at once, or when."""

import dataclasses
import os
import re
from pathlib import Path

import pytest

from tests.faults.conftest import Figure, Figures, Size
from tests.helpers.ray_grid import Grid, ended
from tests.helpers.undisturbed import Undisturbed

pytestmark = pytest.mark.ray

JUMPING = Path(__file__).with_name("jumping_clock")


def test_a_clock_that_jumps_by_hours_and_one_slot_and_another_order_change_nothing(
    grid: Grid, size: Size, undisturbed: Undisturbed, figures: Figures
) -> None:
    """The other tests of this folder run two trials at once, the undisturbed run without Ray."""
    backwards = dataclasses.replace(size, seeds=size.seeds[::-1])
    arms = "arms=[shared_encoder,naive_concat,single_task]"
    grid = dataclasses.replace(grid, settings=(*backwards.settings, arms))
    path = os.pathsep.join([str(JUMPING), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = grid.start("resources.max_concurrent=1", environment={"PYTHONPATH": path})
    run = ended(process, seconds=600)
    assert run.code == 0, run
    assert run.err == ""
    undisturbed.assert_same_trials(grid.run_dir)
    trials = len(undisturbed.trials)
    clocks = re.findall(r"(\S*\d+:\d\d:\d\d) (?:elapsed|to go|after its start)", run.out)
    assert len(clocks) >= trials
    assert all(re.fullmatch(r"0:\d\d:\d\d", clock) for clock in clocks), run.out
    figures.append(Figure("clock jumps by hours, one slot, grid reversed", 1, trials))
