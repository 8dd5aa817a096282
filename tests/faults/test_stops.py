"""A grid that is stopped in every way there is, damaged while it lies still, and continued."""

import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import ray

from orchestrator.commands.experiment import Experiment
from orchestrator.run_dir.lock import LOCK
from tests.faults.conftest import Figure, Figures, Size
from tests.helpers.damage import CHECKPOINT_DAMAGES, RECORD_DAMAGES, damage_checkpoints
from tests.helpers.ray_grid import (
    Ended,
    Grid,
    assert_nothing_left,
    ended,
    measured_all,
    session_processes,
    until,
    workers,
)
from tests.helpers.reference_run import ReferenceRun, begin, stop_midway
from trainables.results.record import TrialRecord, read_records

pytestmark = [pytest.mark.ray, pytest.mark.slow]

AGENTS_GIVE_UP_SOON = {"RAY_gcs_rpc_server_reconnect_timeout_s": "5"}
"""Else Ray's agents try for a minute to tell its GCS, dead as well, that their raylet has died."""


@dataclass
class Story:
    """One grid through all that may end a run, and its records after each run."""

    grid: Grid
    trials: int
    runs: dict[str, Ended] = field(default_factory=dict)
    records: dict[str, dict[str, TrialRecord]] = field(default_factory=dict)
    driverless: float = 0.0
    seconds: float = 0.0

    def run(
        self,
        name: str,
        when: Callable[[int], object],
        stop: Callable[[int], None],
        *options: str,
        environment: Mapping[str, str] | None = None,
    ) -> int:
        """One run of the command until ``when``, where ``stop`` ends it; both get its pid."""
        began = time.monotonic()
        process = self.grid.start(*options, environment=environment)
        until(lambda: when(process.pid), process)
        stop(process.pid)
        self.runs[name] = ended(process)
        self.seconds += time.monotonic() - began
        self.records[name] = read_records(self.grid.run_dir)
        return process.pid


def has_raylet(pid: int) -> bool:
    return any("/raylet/raylet " in name for name in session_processes(pid).values())


def kill_of_ray(part: str) -> Callable[[int], None]:
    """Kill one part of the Ray that a driver has started, or ``all`` of it at once."""

    def kill(pid: int) -> None:
        for other, name in session_processes(pid).items():
            if other != pid and (part == "all" or name.split(" ")[0].endswith(f"/{part}")):
                os.kill(other, signal.SIGKILL)

    return kill


@pytest.fixture(scope="module")
def story(grid: Grid, size: Size) -> Story:
    """Checkpoints damaged, interrupted, terminated, driver killed, Ray killed, records damaged."""
    trials = begin(grid)
    story = Story(grid, len(trials))
    for trial, damage in zip(trials, CHECKPOINT_DAMAGES, strict=False):
        stop_midway(grid, trial)
        damage_checkpoints(grid.run_dir.checkpoints(trial.key), damage)

    # As Ctrl-C does: to everything in the terminal.
    pid = story.run(
        "interrupted",
        lambda _: grid.finished() and grid.training(),
        lambda pid: os.killpg(pid, signal.SIGINT),
    )
    assert_nothing_left(pid)
    pid = story.run("terminated", has_raylet, lambda pid: os.kill(pid, signal.SIGTERM))
    assert_nothing_left(pid)

    driver = story.run(
        "driver killed",
        lambda pid: workers(pid) and grid.checkpointed(),
        lambda pid: os.kill(pid, signal.SIGKILL),
        environment=AGENTS_GIVE_UP_SOON,
    )
    began = time.monotonic()
    while workers(driver) and time.monotonic() < began + 30:
        time.sleep(0.1)
    story.driverless = time.monotonic() - began
    for part in size.ray_parts:
        pid = story.run(
            f"{part} killed",
            lambda pid: workers(pid) and grid.checkpointed(),
            kill_of_ray(part),
        )
        assert_nothing_left(pid)
    for key, damage in zip(sorted(grid.finished()), RECORD_DAMAGES.values(), strict=False):
        damage(grid.run_dir.record(key))
    pid = story.run("finished", lambda _: True, lambda pid: None, "--local")
    assert_nothing_left(pid)
    assert_nothing_left(driver, seconds=90)
    return story


@pytest.mark.parametrize("name", ["interrupted", "terminated"])
def test_a_signal_ends_the_grid_within_seconds_and_says_how_to_go_on(
    story: Story, name: str
) -> None:
    run = story.runs[name]
    assert run.code == 130
    assert run.seconds < 30
    said = run.err.splitlines()
    assert said[0] == f"interrupted; finished trials are kept in {story.grid.run_dir.root}"
    assert said[1].startswith("continue with: python -m orchestrator run demo ")
    assert len(said) == 2


def test_the_workers_of_a_killed_driver_vanish_within_seconds(story: Story) -> None:
    assert story.runs["driver killed"].code == -signal.SIGKILL
    assert story.driverless < 15


def test_a_ray_that_dies_ends_the_run_with_one_line(story: Story, size: Size) -> None:
    for part in size.ray_parts:
        run = story.runs[f"{part} killed"]
        assert run.code == 1
        assert run.seconds < 30
        assert re.fullmatch(
            r"error: Ray on this machine has died \((raylet|gcs_server): exit code -?\d+\); "
            r"what is finished or has a checkpoint is kept: run the command again\n",
            run.err,
        )
        assert "Traceback" not in run.out


def test_a_stopped_trial_leaves_no_record_and_a_finished_one_keeps_its_own(story: Story) -> None:
    kept = story.records["interrupted"]
    assert 0 < len(kept) < story.trials
    stops = [records for name, records in story.records.items() if name != "finished"]
    for before, after in pairwise(stops):
        assert before.items() <= after.items()


def test_a_damaged_record_is_moved_aside_and_its_trial_trained_again(story: Story) -> None:
    finished = set(story.records[list(story.runs)[-2]])
    started = re.findall(r"^started (.*)$", story.runs["finished"].out, re.M)
    damaged = sorted(finished)[: len(RECORD_DAMAGES)]
    assert {story.records["finished"][key].title for key in damaged} <= set(started)
    assert len(started) == story.trials - len(finished) + len(damaged)
    out = story.runs["finished"].out
    warnings = re.findall(r"^warning: (?!.*\(checks\.)(.*)$", out, re.M)
    for key, warning in zip(damaged, warnings, strict=True):
        assert warning.startswith(f"{story.grid.run_dir.record(key)}: not a readable trial record")


def test_the_longest_trials_start_first_and_nothing_of_tune_remains(
    story: Story, reference_run: ReferenceRun
) -> None:
    trials = sorted(reference_run.trials, key=lambda trial: -trial.cost)
    started = re.findall(r"^started (.*)$", story.runs["interrupted"].out, re.M)
    # The two slots' processes come up together, in either order; among seeds costs are equal.
    first = {t.config.title for t in trials if t.cost >= trials[1].cost}
    assert set(started[:2]) <= first
    assert {path.name for path in story.grid.run_dir.root.iterdir() if path.is_dir()} == {
        "checkpoints",
        "curves",
        "damaged",
        "predictions",
        "progress",
        "records",
    }


def test_checkpoints_go_with_their_trials_and_the_lock_with_the_run(story: Story) -> None:
    folder = story.grid.run_dir.root / "checkpoints"
    assert list(folder.iterdir()) == []
    assert not (story.grid.run_dir.root / LOCK).exists()


def test_after_all_that_every_bit_is_that_of_an_undisturbed_run_without_ray(
    story: Story, reference_run: ReferenceRun, figures: Figures, quiet: float | None
) -> None:
    run = story.runs["finished"]
    assert run.code == 0
    reference_run.assert_same(story.grid.run_dir)
    injected = min(len(CHECKPOINT_DAMAGES), story.trials) + len(story.runs) - 1
    figures.append(
        Figure(
            "damaged checkpoints and records, SIGINT, SIGTERM, driver killed, Ray killed",
            injected + len(RECORD_DAMAGES),
            story.trials,
            extra=None if quiet is None else story.seconds - quiet,
        )
    )


def test_a_finished_grid_trains_nothing_and_starts_no_ray(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray was started"))
    monkeypatch.setenv("ONE_OR_MANY_CACHE", str(story.grid.folder / "cache"))
    outcome = Experiment.load("demo", story.grid.overrides()).run(story.grid.run_dir.root)
    assert outcome.trained == 0
    assert not outcome.failed
    assert not outcome.missing
    assert measured_all(read_records(story.grid.run_dir)) == measured_all(story.records["finished"])
