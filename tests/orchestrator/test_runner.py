"""Grids through a real Ray: started, killed, interrupted, continued, and equal to no Ray at all."""

import io
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import ray
from rich.console import Console

from orchestrator import runner
from orchestrator.config import load_experiment
from orchestrator.experiment import run_experiment
from orchestrator.live import LiveView
from orchestrator.lock import LOCK
from orchestrator.plan import PlannedTrial
from orchestrator.progress import Expected, GridProgress
from orchestrator.resources import Node, feasible
from orchestrator.run_directory import read_plan
from orchestrator.runner import Follow, why
from orchestrator.signals import Stop
from tests import records
from tests.orchestrator.grid import (
    Ended,
    Grid,
    assert_nothing_left,
    ended,
    measured,
    measured_all,
    session_processes,
    until,
    workers,
)
from trainables.config import Runtime
from trainables.errors import ResourceError
from trainables.record import RunLayout, TrialRecord, read_record, read_records
from trainables.trial import run_trial

pytestmark = pytest.mark.ray


@dataclass
class Story:
    """One grid through all that may happen to it, and its records after each run."""

    grid: Grid
    runs: dict[str, Ended]
    records: dict[str, dict[str, TrialRecord]]
    blocked: str
    damaged: str


@pytest.fixture(scope="module")
def story(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Interrupted, continued with a killed worker and a trial that fails, terminated, repaired."""
    grid = Grid(tmp_path_factory.mktemp("grid"), tiny_bert)
    runs: dict[str, Ended] = {}
    records: dict[str, dict[str, TrialRecord]] = {}

    def conclude(name: str, process: subprocess.Popen[str]) -> None:
        runs[name] = ended(process)
        records[name] = read_records(grid.layout)
        assert_nothing_left(process.pid)

    process = grid.start()
    until(lambda: grid.finished() and grid.training(), process)
    os.killpg(process.pid, signal.SIGINT)  # As Ctrl-C does: to everything in the terminal.
    conclude("interrupted", process)

    # One trial's predictions cannot be written: a folder is in their place.
    blocked = max(t.key for t in read_plan(grid.layout) if t.key not in grid.finished())
    obstacle = grid.layout.predictions(blocked)
    (obstacle / "in-the-way").mkdir(parents=True)
    process = grid.start()
    until(grid.checkpointed, process)
    os.kill(workers(process.pid)[0], signal.SIGKILL)
    conclude("disturbed", process)

    shutil.rmtree(obstacle)
    process = grid.start()
    until(
        lambda: any("raylet" in name for name in session_processes(process.pid).values()), process
    )
    os.kill(process.pid, signal.SIGTERM)
    conclude("terminated", process)

    damaged = min(grid.finished() - {blocked})
    grid.layout.record(damaged).write_text("{")
    conclude("repaired", grid.start())
    return Story(grid, runs, records, blocked, damaged)


@pytest.mark.parametrize("name", ["interrupted", "terminated"])
def test_a_signal_ends_the_grid_within_seconds_and_says_how_to_go_on(
    story: Story, name: str
) -> None:
    run = story.runs[name]
    assert run.code == 130
    assert run.seconds < 8
    said = run.err.splitlines()
    assert said[0] == f"interrupted; finished trials are kept in {story.grid.layout.root}"
    assert said[1].startswith("continue with: python -m orchestrator run demo ")
    assert len(said) == 2


def test_interrupted_trials_leave_no_record_and_finished_ones_keep_theirs(story: Story) -> None:
    kept = story.records["interrupted"]
    assert 0 < len(kept) < 4
    for name in ("disturbed", "terminated"):
        assert kept.items() <= story.records[name].items()


def test_one_trials_failure_is_its_own(story: Story) -> None:
    run, records = story.runs["disturbed"], story.records["disturbed"]
    assert run.code == 1
    assert {key for key, record in records.items() if record.status != "finished"} == {
        story.blocked
    }
    failed = records[story.blocked]
    assert failed.status == "failed"
    assert "IsADirectoryError" in (failed.error or "")
    assert run.err.splitlines() == [f"failed: {failed.title}: {failed.error}"]


def test_a_killed_worker_is_started_again(story: Story) -> None:
    out = story.runs["disturbed"].out
    assert len(re.findall(r"^restarting .* seed 41: its process was killed", out, re.M)) == 1
    assert "Traceback" not in out
    assert "(raylet)" not in out


def test_what_failed_or_is_damaged_and_only_that_is_trained_again(story: Story) -> None:
    run, records = story.runs["repaired"], story.records["repaired"]
    assert run.code == 0
    assert run.err == ""
    again = {story.blocked, story.damaged}
    titles = {records[key].title for key in again}
    assert set(re.findall(r"^started (.*)$", run.out, re.M)) == titles
    [warning] = re.findall(r"^warning: (.*)$", run.out, re.M)
    assert warning.startswith(f"{story.grid.layout.record(story.damaged)}: not a readable trial")
    assert len(records) == 4
    assert all(record.status == "finished" for record in records.values())
    for key in records.keys() - again:
        assert records[key] == story.records["terminated"][key]


def test_checkpoints_go_with_their_trials_and_the_lock_with_the_run(story: Story) -> None:
    folder = story.grid.layout.root / "checkpoints"
    assert list(folder.iterdir()) == []
    assert not (story.grid.layout.root / LOCK).exists()


def test_a_finished_grid_trains_nothing_and_starts_no_ray(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray was started"))
    monkeypatch.setenv("ONE_OR_MANY_CACHE", str(story.grid.folder / "cache"))
    outcome = run_experiment("demo", story.grid.overrides(), story.grid.layout.root)
    assert outcome.trained == 0
    assert not outcome.failed
    assert not outcome.missing
    assert measured_all(read_records(story.grid.layout)) == measured_all(story.records["repaired"])


def test_after_all_that_every_bit_is_that_of_an_undisturbed_run_without_ray(
    story: Story, tmp_path: Path
) -> None:
    runtime = Runtime(output_dir=str(tmp_path), device="cpu", threads=1, checkpoint_every=0)
    for trial in read_plan(story.grid.layout):
        alone = run_trial(trial.config, runtime)
        record = read_record(alone.layout.record(trial.key))
        assert measured(record) == measured(story.records["repaired"][trial.key])
        ours, theirs = (
            pd.read_parquet(layout.predictions(trial.key))
            for layout in (story.grid.layout, alone.layout)
        )
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


def test_the_longest_trials_start_first_and_nothing_of_tune_remains(story: Story) -> None:
    trials = read_plan(story.grid.layout)
    titles = [t.config.title for t in sorted(trials, key=lambda trial: -trial.cost)]
    started = re.findall(r"^started (.*)$", story.runs["interrupted"].out, re.M)
    # The two slots' processes come up together, in either order.
    assert set(started[:2]) == set(titles[:2])
    assert {path.name for path in story.grid.layout.root.iterdir() if path.is_dir()} == {
        "checkpoints",
        "damaged",
        "predictions",
        "progress",
        "records",
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["resources.cpu=99"], r"resources\.cpu=99: this machine has at most 4 cores"),
        (["resources.gpu=0", "training.precision=fp16"], r"training\.precision=fp16: needs GPUs"),
    ],
)
def test_what_the_machine_cannot_give_is_refused_before_anything_starts(
    settings: list[str], message: str, tiny_bert: Path, tmp_path: Path
) -> None:
    experiment = load_experiment("demo", [*Grid(tmp_path, tiny_bert).overrides(), *settings])
    with pytest.raises(ResourceError, match=message):
        feasible(experiment, [Node(4, 2)], 4)


@dataclass
class Given:
    """What Tune's trial has that is looked at when it ends badly."""

    error_file: str | None
    config: dict


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (None, "its process died"),
        (
            "Failure # 1 (occurred at x)\nray::TrialTrainable.train() (pid=1)\nold: error\n"
            'Failure # 2 (occurred at y)\nray::TrialTrainable.train() (pid=2)\n  File "a.py"\n'
            "ValueError: new  error\n\n",
            "ValueError: new error",
        ),
        (
            "Failure # 1 (occurred at x)\nThe actor died.\n\tclass_name: T\nWorker exit detail: "
            "connection error code 2. Some common causes include: (1) much\n",
            "its process was killed or crashed: connection error code 2.",
        ),
        ("", "its process was killed or crashed: "),
    ],
)
def test_why_a_process_died_is_told_in_a_line_and_nothing_is_unpickled(
    told: str | None, reason: str, tmp_path: Path
) -> None:
    if told is not None:
        (tmp_path / "error.txt").write_text(told)
    assert why(Given(str(tmp_path / "error.txt"), {})) == reason
    assert why(Given(None, {})) == "its process died"


def test_the_record_of_a_dead_trial_waits_for_storage_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = records.trial()
    layout = RunLayout(tmp_path / "run")
    expected = Expected(planned.key, planned.config.title, "tiny", 10)
    view = LiveView(GridProgress([expected], 1), Console(file=io.StringIO()))
    trials = {planned.key: PlannedTrial(planned.config, 10, 1.0)}
    follow = Follow(view, trials, layout, Stop())
    monkeypatch.setattr(runner, "RETRY_SECONDS", 0.0)
    (tmp_path / "run").write_text("")  # In place of the folder: nothing can be written.
    with view:
        follow.on_trial_start(0, [], Given(None, {"cell": {"key": planned.key}}))
        follow.on_trial_error(0, [], Given(None, {"cell": {"key": planned.key}}))
        follow.on_step_begin(0, [])
        with pytest.raises(OSError, match="run"):
            follow.write_waiting()
        (tmp_path / "run").unlink()
        (tmp_path / "run").mkdir()
        follow.on_step_begin(0, [])
    record = read_record(layout.record(planned.key))
    assert (record.status, record.error) == ("failed", "its process died")
