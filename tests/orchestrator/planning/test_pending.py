"""What is still to be run, what trials leave for others, and a whole grid in stages."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.config.experiment import load_experiment
from orchestrator.planning.dependencies import artifacts_of
from orchestrator.planning.pending import (
    clear_artifacts,
    failed,
    missing_upstream,
    trials_to_run,
)
from orchestrator.planning.plan import PlannedTrial, make_plan
from tests.helpers.command import Command, small_grid
from tests.helpers.ray_grid import Grid
from tests.helpers.reference_run import begin
from tests.orchestrator.planning.test_dependencies import DEFINED
from trainables.results.record import TrialRecord, read_records
from trainables.storage.run_dir import RunDir

SETTINGS = (*DEFINED, "arms=[bam,tuned]", "tasks=[acceptability,sentiment]", "training.epochs=2")


@pytest.fixture
def trials(tiny_bert: Path) -> list[PlannedTrial]:
    """Two teachers and their student; a multi-task trial and two that start from it."""
    overrides = small_grid(tiny_bert, *DEFINED, "arms=[bam,tuned]")[1:]
    return make_plan(load_experiment("demo", overrides)).longest_first()


def by_arm(trials: list[PlannedTrial], arm: str) -> list[PlannedTrial]:
    return [trial for trial in trials if trial.config.arm_name == arm]


def ended_as(trials: list[PlannedTrial], status: str) -> dict[str, TrialRecord]:
    return {t.key: failed(t, "broken").model_copy(update={"status": status}) for t in trials}


def leave(run_dir: RunDir, key: str, path: Callable[[str], Path]) -> None:
    """Something that only stands where a trial would leave its own."""
    path(key).parent.mkdir(parents=True, exist_ok=True)
    path(key).write_bytes(b"")


def test_what_each_trial_must_leave(trials: list[PlannedTrial]) -> None:
    leaves = artifacts_of(trials)
    assert {leaves[t.key] for t in by_arm(trials, "single_task")} == {("teacher_logits",)}
    assert {leaves[t.key] for t in by_arm(trials, "shared_encoder")} == {("weights",)}
    assert len(leaves) == 3


def test_a_finished_teacher_without_its_predictions_is_trained_again_only_for_a_student(
    trials: list[PlannedTrial], tmp_path: Path
) -> None:
    run_dir = RunDir(tmp_path)
    everything = ended_as(trials, "finished")
    assert trials_to_run(run_dir, trials, everything) == []
    student = by_arm(trials, "bam")[0]
    without = {key: record for key, record in everything.items() if key != student.key}
    assert {t.key for t in trials_to_run(run_dir, trials, without)} == {
        student.key,
        *student.config.needs,
    }


def test_who_needs_a_trial_that_failed_says_why_it_cannot_start(
    trials: list[PlannedTrial],
) -> None:
    student = by_arm(trials, "bam")[0]
    teachers = by_arm(trials, "single_task")
    assert missing_upstream(student, ended_as(teachers, "finished")) is None
    reason = missing_upstream(student, ended_as(teachers, "diverged"))
    assert re.fullmatch(
        r"it needs single_task tiny \w+ seed 1 \(\w{12}\), which diverged: broken", reason or ""
    )
    assert "which has no record" in (missing_upstream(student, {}) or "")


def test_what_no_trial_needs_any_more_is_removed(
    trials: list[PlannedTrial], tmp_path: Path
) -> None:
    run_dir = RunDir(tmp_path)
    for teacher in by_arm(trials, "single_task"):
        leave(run_dir, teacher.key, run_dir.teacher_logits)
    [start] = by_arm(trials, "shared_encoder")
    leave(run_dir, start.key, run_dir.weights)
    students = by_arm(trials, "bam")
    clear_artifacts(run_dir, trials, ended_as(students, "finished") | ended_as([start], "finished"))
    assert not any(run_dir.teacher_logits(t.key).exists() for t in by_arm(trials, "single_task"))
    assert run_dir.weights(start.key).exists(), "two trials that start from it have not ended"
    clear_artifacts(run_dir, trials, ended_as(trials, "finished"))
    assert not run_dir.weights(start.key).exists()


def test_stages_run_in_order_and_a_failure_reaches_only_those_that_need_it(
    tiny_bert: Path, tmp_path: Path, command: Command
) -> None:
    grid = Grid(tmp_path, tiny_bert, SETTINGS)
    run_command = ["run", "demo", *grid.overrides(), "--run-dir", str(grid.run_dir.root), "--local"]
    trials = begin(grid)
    teacher = by_arm(trials, "single_task")[0]
    # A folder is where its predictions on train should go.
    obstacle = grid.run_dir.teacher_logits(teacher.key)
    (obstacle / "in-the-way").mkdir(parents=True)
    run = command(*run_command)
    assert run.code == 1, run
    records = read_records(grid.run_dir)
    status = {record.title: record.status for record in records.values()}
    assert sorted(title for title, how in status.items() if how == "failed") == [
        "bam tiny seed 41",
        teacher.config.title,
    ]
    assert len(status) == 6
    [student] = by_arm(trials, "bam")
    reason = records[student.key].error or ""
    assert reason.startswith(f"it needs {teacher.config.title} ({teacher.key}), which failed: Is")
    began = re.findall(r"^(started|finished) (\w+) ", run.out, re.M)
    assert began.index(("started", "tuned")) > began.index(("finished", "shared_encoder"))

    shutil.rmtree(obstacle)
    again = command(*run_command)
    assert again.code == 0, again
    titles = re.findall(r"^started (.*)$", again.out, re.M)
    # The other teacher's predictions were kept for the student.
    assert titles == [teacher.config.title, "bam tiny seed 41"]
    for key in records:
        assert not grid.run_dir.teacher_logits(key).exists()
        assert not grid.run_dir.weights(key).exists()
