"""A run directory is one configuration's; anything damaged in it is named."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import run_directory
from orchestrator.config import load_experiment
from orchestrator.experiment import plan_experiment
from orchestrator.run_directory import describe, read_plan, take
from tests.orchestrator.command import Command, small_grid
from tests.records import Trial, record
from trainables.errors import RunDirectoryError
from trainables.record import RunLayout, read_record, read_records, write_record


@pytest.fixture
def run(tmp_path: Path, tiny_bert: Path) -> RunLayout:
    """A run directory of the small grid in which every trial has finished."""
    preset, *overrides = small_grid(tiny_bert)
    experiment, plan, resources = plan_experiment(preset, overrides)
    layout = RunLayout(tmp_path / "run")
    take(layout, experiment, plan)
    describe(layout, experiment, plan, resources)
    for trial in plan.trials:
        write_record(layout, record(Trial(trial.key, trial.config)))
    return layout


def test_a_plan_is_read_as_it_was_written(run: RunLayout, tiny_bert: Path) -> None:
    preset, *overrides = small_grid(tiny_bert)
    assert read_plan(run) == list(plan_experiment(preset, overrides)[1].trials)


def test_a_finished_run_is_not_run_again(run: RunLayout, command: Command, tiny_bert: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.records.iterdir()}
    assert command("run", *small_grid(tiny_bert), "--run-dir", "run").code == 0
    assert {path: path.stat().st_mtime_ns for path in run.records.iterdir()} == before


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seeds=[2]", "run: was made with seeds=[1], this is seeds=[2]; choose another"),
        ("training.epochs=2", "run: was made with training.epochs=1, this is training.epochs=2"),
        ("define.tasks.sst2.headline=f1", "run: was made with define.tasks.sst2.headline=accuracy"),
        ("define.arms.more={strategy: single_task}", "run: was made with define.arms.more=None"),
    ],
)
def test_another_configuration_is_refused(
    run: RunLayout, command: Command, tiny_bert: Path, override: str, message: str
) -> None:
    ended = command("run", *small_grid(tiny_bert, override), "--run-dir", "run")
    assert ended.code == 2
    assert ended.err.startswith(f"error: {message}".replace("=accuracy", "='accuracy'"))


@pytest.mark.parametrize(
    "override",
    ["retries=0", "save_models=true", "resources.max_concurrent=1", "checkpoint.every=1"],
)
def test_what_changes_no_number_may_change(run: RunLayout, tiny_bert: Path, override: str) -> None:
    preset, *overrides = small_grid(tiny_bert, override)
    experiment, plan, _ = plan_experiment(preset, overrides)
    take(run, experiment, plan)


def test_other_data_under_the_same_configuration_is_refused(
    tmp_path: Path, tiny_bert: Path, command: Command
) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("s,label\ngood,1\nbad,0\n")
    grid = small_grid(
        tiny_bert,
        "tasks=[mine]",
        "define.tasks.mine={text: [s], files: {train: mine.csv, validation: mine.csv}}",
    )
    experiment, plan, resources = plan_experiment(grid[0], grid[1:])
    describe(RunLayout(tmp_path / "run"), experiment, plan, resources)
    file.write_text("s,label\ngood,1\nworse,0\n")
    ended = command("run", *grid, "--run-dir", "run")
    assert ended.code == 2
    assert ended.err.startswith("error: run: its trials are not this plan's")


def test_train_and_run_do_not_share_a_directory(
    run: RunLayout, command: Command, tiny_bert: Path
) -> None:
    before = run.config.read_bytes()
    ended = command("train", "single_task", "task=sentiment", "--run-dir", "run")
    assert ended.code == 2
    assert ended.err.startswith("error: run/config.yaml: damaged, or of another command (")
    assert run.config.read_bytes() == before


def change(path: Path, edit: Callable[[dict], object]) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def first_result(content: dict) -> dict:
    return next(iter(content["results"]["validation"].values()))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff\x00"),
        lambda path: path.write_bytes(path.read_bytes()[:200]),
        lambda path: path.write_bytes(b"[" * 100_000),
        lambda path: path.write_bytes(b"[]"),
        lambda path: change(path, lambda plan: plan.update(trials=[])),
        lambda path: change(path, lambda plan: plan.update(schema_version=2)),
        lambda path: change(path, lambda plan: plan["trials"][0]["config"].update(seed="x")),
    ],
)
def test_a_damaged_plan_is_named(
    run: RunLayout, damage: Callable[[Path], object], command: Command
) -> None:
    damage(run.plan)
    ended = command("report", "run")
    assert ended.code == 2
    assert ended.err == (
        "error: run/plan.json: missing or damaged; delete it and run the experiment again\n"
    )


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(b""), "file: Invalid JSON"),
        (lambda path: path.write_bytes(path.read_bytes()[:900]), "file: Invalid JSON"),
        (lambda path: change(path, lambda r: r.update(schema_version=99)), "schema_version: "),
        (lambda path: change(path, lambda r: r.update(key="0" * 12)), "key: it is 000000000000"),
        (lambda path: change(path, lambda r: r.update(results={})), "file: Value error, finished"),
        (
            lambda path: change(path, lambda r: first_result(r).update(confusion=[[1, 2], [3]])),
            "results.validation.",
        ),
        (
            lambda path: change(
                path, lambda r: first_result(r).update(confusion=[[-1, 2], [3, 4]])
            ),
            "results.validation.",
        ),
    ],
)
def test_a_damaged_record_is_named_and_never_taken_for_whole(
    run: RunLayout, damage: Callable[[Path], object], reason: str, command: Command
) -> None:
    path = sorted(run.records.iterdir())[0]
    damage(path)
    with pytest.raises(RunDirectoryError) as caught:
        read_record(path)
    assert str(caught.value).startswith(f"{path}: not a readable trial record ({reason}")
    assert str(caught.value).endswith("; delete it to train the trial again")
    ended = command("report", "run")
    assert (ended.code, ended.err.count("\n")) == (2, 1)


def test_what_a_killed_process_left_is_no_record(run: RunLayout) -> None:
    whole = read_records(run)
    (run.records / ".0123456789ab.json.x1.tmp").write_text('{"key":')
    assert read_records(run) == whole


def test_records_in_no_folder(run: RunLayout) -> None:
    shutil.rmtree(run.records)
    run.records.write_text("")
    with pytest.raises(RunDirectoryError, match="records: not a folder"):
        read_records(run)


@pytest.mark.parametrize("content", [b"a: [", b"\xff\x00", b"[1]", b"5", b"nonsense: 1"])
def test_a_damaged_config_is_named(
    run: RunLayout, command: Command, tiny_bert: Path, content: bytes
) -> None:
    run.config.write_bytes(content)
    ended = command("run", *small_grid(tiny_bert), "--run-dir", "run")
    assert ended.code == 2
    assert ended.err.startswith("error: run/config.yaml: damaged, or of another command (")
    assert ended.err.count("\n") == 1


def test_a_full_disk_is_found_before_anything_runs(
    tmp_path: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset, *overrides = small_grid(tiny_bert, "save_models=true")
    experiment, plan, _ = plan_experiment(preset, overrides)
    needed = 3 * 4 * plan.encoders["tiny"].parameters
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(run_directory.shutil, "disk_usage", lambda _: usage._replace(free=needed))
    with pytest.raises(RunDirectoryError, match=r"its disk has 0 MB left, the experiment needs"):
        take(RunLayout(tmp_path / "run"), experiment, plan)
    plenty = usage._replace(free=10 * needed)
    monkeypatch.setattr(run_directory.shutil, "disk_usage", lambda _: plenty)
    take(RunLayout(tmp_path / "run"), experiment, plan)


def test_a_read_only_disk_is_found_before_anything_runs(
    tmp_path: Path, tiny_bert: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr(run_directory.tempfile, "NamedTemporaryFile", refuse)
    ended = command("run", *small_grid(tiny_bert), "--run-dir", "run")
    assert ended.code == 2
    assert ended.err == (
        "error: run: cannot be written (Read-only file system); "
        "choose another directory with --run-dir\n"
    )


def test_a_resolved_config_is_the_same_experiment(run: RunLayout, tmp_path: Path) -> None:
    copy = tmp_path / "again.yaml"
    shutil.copy(run.config, copy)
    again = load_experiment(str(copy), [])
    assert again.seeds == (1,)
    experiment, plan, _ = plan_experiment(str(copy), [])
    take(run, experiment, plan)
