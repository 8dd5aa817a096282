"""What the runner does when Tune says that a trial's process died, without any Ray."""

import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray.exceptions
from rich.console import Console

from orchestrator.execution.executor import TrialScheduler
from orchestrator.execution.tune_executor import TuneCallback
from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.state import Expected, GridProgress
from orchestrator.planning.plan import PlannedTrial
from tests.helpers.records import trial
from tests.helpers.run_folders import word
from trainables.results.record import read_kills, read_record
from trainables.storage.run_dir import RunDir
from trainables.trial.progress import write_progress

PLANNED = trial()
KEY = PLANNED.key


class Follower:
    """A ``TuneCallback`` of one trial, and what its live view has printed."""

    def __init__(self, folder: Path) -> None:
        self.run_dir = RunDir(folder / "run")
        self.run_dir.root.mkdir()
        self.file = io.StringIO()
        self._folder = folder
        progress = GridProgress([Expected(KEY, PLANNED.config.title, "tiny", 100)])
        self.view = LiveView(progress, Console(file=self.file, width=300))
        planned = {KEY: PlannedTrial(PLANNED.config, 100, 1.0)}
        self.follow = TuneCallback(self.view, planned, self.run_dir)
        self.view.__enter__()
        self.view.start(KEY)

    def dies(self, error: Exception) -> Any:
        """Tune's trial, whose process ended with ``error``."""
        path = self._folder / "error.txt"
        # As Tune writes it: all the attempts in one file.
        with path.open("a") as file:
            file.write(f"Failure # 1 (occurred at 2026-01-01_00-00-00)\n{error}\n")
        return SimpleNamespace(config={"trial_spec": {"key": KEY}}, error_file=str(path))

    def said(self) -> str:
        return self.file.getvalue()


@pytest.fixture
def follower(tmp_path: Path) -> Follower:
    return Follower(tmp_path)


MEMORY = ray.exceptions.OutOfMemoryError(
    "1 worker(s) were killed due to the node running low on memory. Memory on the node was 4.39GB\n"
    "used / 4.54GB limit\nTop 10 memory users: ..."
)


def test_a_trial_that_took_too_much_memory_is_told_so_each_time(follower: Follower) -> None:
    assert read_kills(follower.run_dir, KEY) == 0
    for kills in (1, 2, 3):
        follower.follow.on_trial_recover(0, [], follower.dies(MEMORY))
        assert read_kills(follower.run_dir, KEY) == kills
    assert follower.said().count("restarting") == 3
    assert "ran out of memory" in follower.said()
    assert "resources.memory" in follower.said()


@pytest.mark.parametrize("error", [RuntimeError("CUDA error"), ray.exceptions.RayActorError()])
def test_a_trial_that_died_of_anything_else_keeps_its_micro_batches(
    error: Exception, follower: Follower
) -> None:
    follower.follow.on_trial_recover(0, [], follower.dies(error))
    assert read_kills(follower.run_dir, KEY) == 0
    assert "restarting" in follower.said()


def test_one_that_died_of_it_too_often_fails_with_one_clear_line(follower: Follower) -> None:
    follower.follow.on_trial_error(0, [], follower.dies(MEMORY))
    record = read_record(follower.run_dir.record(KEY))
    assert record.status == "failed"
    for key in ("training.batch_size", "model.max_length", "resources.memory"):
        assert key in (record.error or "")
    assert "\n" not in (record.error or "")


def test_the_grid_goes_on_where_the_trial_cannot_be_told(follower: Follower) -> None:
    shutil.rmtree(follower.run_dir.root)
    follower.follow.on_trial_recover(0, [], follower.dies(MEMORY))
    assert "restarting" in follower.said()
    assert not follower.run_dir.root.exists()


@pytest.mark.parametrize("content", [b"", b"many", b"-3", b"\xff", b"9" * 400])
def test_a_damaged_count_of_kills_does_no_harm(content: bytes, follower: Follower) -> None:
    path = follower.run_dir.memory_kills(KEY)
    path.parent.mkdir()
    path.write_bytes(content)
    assert 0 <= read_kills(follower.run_dir, KEY) < 100


def test_what_does_not_go_as_planned_is_said_once(follower: Follower) -> None:
    one = SimpleNamespace(
        config={"trial_spec": {"key": KEY}}, run_metadata=SimpleNamespace(num_failures=0)
    )
    for note in ("", "waiting for storage: gone", "waiting for storage: gone", ""):
        follower.follow.on_trial_result(0, [], one, {"note": note, "loss": None})
    assert follower.said().count(f"{PLANNED.config.title}: waiting for storage: gone") == 1


def test_a_trials_own_clock_may_jump(follower: Follower) -> None:
    one = SimpleNamespace(
        config={"trial_spec": {"key": KEY}}, run_metadata=SimpleNamespace(num_failures=0)
    )
    said = {"epoch": 1.0, "epochs": 2, "loss": 0.5, "headline": None, "examples_per_second": 9.0}
    for examples, at in ((10, 2e9), (20, 1.0), (30, 3e9)):
        follower.follow.on_trial_result(0, [], one, {**said, "examples": examples, "time": at})
    rate = follower.view.progress.trials[KEY].rate
    eta = follower.view.progress.eta(follower.view.now())
    assert rate is not None
    assert rate > 0
    assert eta is not None
    assert 0 <= eta < 1000


def test_a_long_evaluation_is_heard_from_the_trials_file(
    follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.execution.tune_executor.QUIET_SECONDS", 0.0)
    trial, path = follower.view.progress.trials, follower.run_dir.progress(KEY)
    write_progress(path, word(examples=10, phase="evaluating"))
    follower.follow.on_step_begin(0, [])
    assert trial[KEY].last is None, "one that gave no result yet starts"
    follower.view.update(KEY, word(examples=10, time=-100.0))
    for time, phase, heard in [
        (1.0, "training", False),
        (2.0, "evaluating", True),
        (2.0, "evaluating", False),
        (3.0, "evaluating", True),
    ]:
        write_progress(path, word(examples=10, time=time, phase=phase))
        before = trial[KEY].last
        follower.follow.on_step_begin(0, [])
        last = trial[KEY].last
        assert (last is not before) == heard
        if heard:
            assert last is not None
            assert abs(last["time"] - follower.view.now()) < 60, "by the view's clock"
    console = Console(file=io.StringIO(), width=120, record=True)
    console.print(follower.view)
    assert "evaluates" in console.export_text()
    foreign = {name: value for name, value in word(time=4.0).items() if name != "phase"}
    last = trial[KEY].last
    for content in (json.dumps(foreign), "half", None):
        path.unlink()
        if content is not None:
            path.write_text(content)
        follower.follow.on_step_begin(0, [])
        assert trial[KEY].last is last


def test_an_error_of_the_scheduler_ends_the_run_and_is_not_the_trials(follower: Follower) -> None:
    class Failing(TrialScheduler):
        def on_trial_complete(self, trial: PlannedTrial) -> None:
            raise OSError("the ledger cannot be written")

    callback = TuneCallback(
        follower.view, {KEY: PlannedTrial(PLANNED.config, 1, 1.0)}, follower.run_dir, Failing()
    )
    callback.on_step_begin(0, [])
    callback.on_trial_complete(0, [], SimpleNamespace(config={"trial_spec": {"key": KEY}}))
    with pytest.raises(OSError, match="the ledger cannot be written"):
        callback.on_step_begin(1, [])
