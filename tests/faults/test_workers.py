"""Workers killed at random moments: what it costs, and what it does not."""

import os
import random
import re
import shutil
import signal
import time
from dataclasses import dataclass

import pytest

from tests.faults.conftest import Figure, Figures, Size
from tests.helpers.ray_grid import Ended, Grid, assert_nothing_left, ended, until, workers
from tests.helpers.reference_run import ReferenceRun, begin
from trainables.results.record import TrialRecord, read_records
from trainables.training.checkpoint import checkpoints
from trainables.trial.progress import read_progress

EVERY = 0.5
"""``checkpoint.every`` of the grid, in seconds."""

SLACK = 2.0
"""Seconds that an evaluation and the writing of a checkpoint may take."""


@dataclass
class Story:
    """A grid whose workers are killed and one of whose trials cannot leave its predictions."""

    grid: Grid
    blocked: str
    trials: int
    disturbed: Ended
    records: dict[str, TrialRecord]
    losses: list[float]
    seconds: float
    repaired: Ended


@pytest.fixture(scope="module")
def story(grid: Grid, size: Size) -> Story:
    """Killed at random moments to the end, then repaired and continued."""
    chance = random.Random(41)
    trials = begin(grid)
    blocked = min(trials, key=lambda trial: trial.cost).key
    # A folder is where its predictions should go.
    obstacle = grid.run_dir.predictions(blocked)
    (obstacle / "in-the-way").mkdir(parents=True)
    began = time.monotonic()
    process = grid.start()
    losses = []
    for _ in range(size.kills):
        until(grid.training, process)
        time.sleep(chance.uniform(0, 1.5))
        until(lambda: workers(process.pid), process)
        losses += unsaved(grid)
        os.kill(chance.choice(workers(process.pid)), signal.SIGKILL)
    disturbed = ended(process, seconds=600)
    seconds = time.monotonic() - began
    assert_nothing_left(process.pid)
    records = read_records(grid.run_dir)
    shutil.rmtree(obstacle)
    return Story(
        grid,
        blocked,
        len(trials),
        disturbed,
        records,
        losses,
        seconds,
        ended(grid.start("--local"), seconds=300),
    )


def unsaved(grid: Grid) -> list[float]:
    """Seconds of training since the newest checkpoint, of each trial that trains and has one.

    It is what the trial would lose, if its worker were killed now. A trial speaks about once a
    second, so that it may be that much more.
    """
    found = []
    for key in grid.training():
        said, saved = read_progress(grid.run_dir.progress(key)), grid.run_dir.checkpoints(key)
        kept = [int(path.name.partition("-")[2]) for path in checkpoints(saved)]
        if said is not None and said["step"] and kept:
            share = max(0.0, 1 - kept[0] / said["step"])
            found.append(share * said["examples"] / said["examples_per_second"])
    return found


@pytest.mark.ray
@pytest.mark.slow
def test_a_killed_worker_is_started_again_with_one_line(story: Story, size: Size) -> None:
    out = story.disturbed.out
    said = re.findall(r"^restarting .* seed \d+: its process was killed", out, re.M)
    # Two deaths of an idle process between two trials go unnoticed.
    assert size.kills - 2 <= len(said) <= size.kills
    assert "Traceback" not in out
    assert "(raylet)" not in out


@pytest.mark.ray
@pytest.mark.slow
def test_a_death_costs_no_more_than_the_work_since_the_last_checkpoint(story: Story) -> None:
    assert story.losses
    assert max(story.losses) <= EVERY + SLACK


@pytest.mark.ray
@pytest.mark.slow
def test_one_trials_failure_is_its_own(story: Story) -> None:
    assert story.disturbed.code == 1
    failed = [record for record in story.records.values() if record.status != "finished"]
    assert [record.key for record in failed] == [story.blocked]
    assert failed[0].status == "failed"
    assert "IsADirectoryError" in (failed[0].error or "")
    assert story.disturbed.err.splitlines() == [f"failed: {failed[0].title}: {failed[0].error}"]
    assert len(story.records) == story.trials


@pytest.mark.ray
@pytest.mark.slow
def test_what_failed_and_only_that_is_trained_again(story: Story) -> None:
    assert story.repaired.code == 0, story.repaired
    assert story.repaired.err == ""
    title = story.records[story.blocked].title
    assert re.findall(r"^started (.*)$", story.repaired.out, re.M) == [title]


@pytest.mark.ray
@pytest.mark.slow
def test_every_bit_is_that_of_an_undisturbed_run(
    story: Story, size: Size, reference_run: ReferenceRun, figures: Figures, quiet: float | None
) -> None:
    reference_run.assert_same(story.grid.run_dir)
    extra = None if quiet is None else story.seconds - quiet
    figures.append(
        Figure("worker killed", size.kills, story.trials, max(story.losses), EVERY, extra)
    )
