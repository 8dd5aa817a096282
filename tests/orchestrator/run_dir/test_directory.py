"""A run directory is one configuration's; anything damaged in it is named."""

import io
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.config.experiment import load_experiment
from orchestrator.run_dir import directory
from orchestrator.run_dir.directory import lock_run_dir, read_plan, take, write_metadata
from orchestrator.run_dir.lock import GUARD, LOCK, hold_lock
from tests.helpers.command import Command, small_grid, tiny
from tests.helpers.plans import plan_of
from tests.helpers.records import write_predictions_of
from tests.helpers.run_folders import finished_grid
from trainables.errors import RunDirectoryError
from trainables.results.record import read_record, read_records, write_record
from trainables.storage.run_dir import RunDir


@pytest.fixture
def console() -> Console:
    """A console whose lines ``said`` gives."""
    return Console(file=io.StringIO(), width=80)


def said(console: Console) -> list[str]:
    """What was said since the last call, line by line."""
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    console.file = io.StringIO()
    return lines


@pytest.fixture
def run(tmp_path: Path, tiny_bert: Path) -> RunDir:
    """A run directory of the small grid in which every trial has finished."""
    return finished_grid(tmp_path / "run", tiny_bert)


def test_a_plan_is_read_as_it_was_written(run: RunDir, tiny_bert: Path) -> None:
    preset, *overrides = small_grid(tiny_bert)
    assert read_plan(run) == list(plan_of(preset, overrides)[1].trials)


def test_a_finished_run_is_not_run_again(run: RunDir, command: Command, tiny_bert: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.records.iterdir()}
    assert command("run", *small_grid(tiny_bert), "--run-dir", "run").code == 0
    assert {path: path.stat().st_mtime_ns for path in run.records.iterdir()} == before


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seeds=[2]", "run: was made with seeds=[1], this is seeds=[2]; choose another"),
        ("training.epochs=2", "run: was made with training.epochs=1, this is training.epochs=2"),
        (
            "define.tasks.sentiment.headline=f1",
            "run: was made with define.tasks.sentiment.headline=accuracy",
        ),
        ("define.arms.more={strategy: single_task}", "run: was made with define.arms.more=None"),
    ],
)
def test_another_configuration_is_refused(
    run: RunDir, command: Command, tiny_bert: Path, override: str, message: str
) -> None:
    ended = command("run", *small_grid(tiny_bert, override), "--run-dir", "run")
    assert ended.code == 2
    assert ended.err.startswith(f"error: {message}".replace("=accuracy", "='accuracy'"))


@pytest.mark.parametrize(
    "override",
    ["retries=0", "save_models=true", "resources.max_concurrent=1", "checkpoint.every=1"],
)
def test_what_changes_no_number_may_change(run: RunDir, tiny_bert: Path, override: str) -> None:
    preset, *overrides = small_grid(tiny_bert, override)
    experiment, plan, _ = plan_of(preset, overrides)
    take(run, experiment, plan)


def test_other_data_under_the_same_configuration_is_refused(
    tmp_path: Path, tiny_bert: Path, command: Command
) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("s,label\ngood,1\nbad,0\n")
    (tmp_path / "dev.csv").write_text("s,label\nfine,1\ndull,0\n")
    grid = small_grid(
        tiny_bert,
        "tasks=[mine]",
        "define.tasks.mine={text: [s], files: {train: mine.csv, validation: dev.csv}}",
    )
    experiment, plan, resources = plan_of(grid[0], grid[1:])
    write_metadata(RunDir(tmp_path / "run"), experiment, plan, resources)
    file.write_text("s,label\ngood,1\nworse,0\n")
    ended = command("run", *grid, "--run-dir", "run")
    assert ended.code == 2
    assert ended.err.startswith("error: run: its trials are not this plan's")


def test_train_and_run_do_not_share_a_directory(
    run: RunDir, command: Command, tiny_bert: Path
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
    run: RunDir, damage: Callable[[Path], object], command: Command
) -> None:
    damage(run.plan)
    ended = command("report", "run")
    assert ended.code == 2
    assert ended.err == (
        "error: run/plan.json: missing or damaged; delete it and run the experiment again\n"
    )


DAMAGED_RECORDS: list[tuple[Callable[[Path], object], str]] = [
    (lambda path: path.write_bytes(b""), "file: Invalid JSON"),
    (lambda path: path.write_bytes(path.read_bytes()[:900]), "file: Invalid JSON"),
    (lambda path: path.write_bytes(b"[" * 100_000), "file: "),
    (lambda path: change(path, lambda r: r.update(schema_version=99)), "schema_version: 99, writt"),
    (lambda path: change(path, lambda r: r.update(key="0" * 12)), "key: it is 000000000000"),
    (lambda path: change(path, lambda r: r.update(results={})), "file: Value error, finished"),
    (
        lambda path: change(path, lambda r: first_result(r).update(confusion=[[1, 2], [3]])),
        "results.validation.",
    ),
    (
        lambda path: change(path, lambda r: first_result(r).update(confusion=[[-1, 2], [3, 4]])),
        "results.validation.",
    ),
    (lambda path: (path.unlink(), path.mkdir()), "Is a directory"),
]


@pytest.mark.parametrize(("damage", "reason"), DAMAGED_RECORDS)
def test_a_damaged_record_is_named_and_never_taken_for_whole(
    run: RunDir, damage: Callable[[Path], object], reason: str, command: Command
) -> None:
    path = sorted(run.records.iterdir())[0]
    damage(path)
    with pytest.raises(RunDirectoryError) as caught:
        read_record(path)
    assert str(caught.value).startswith(f"{path}: not a readable trial record ({reason}")
    assert str(caught.value).endswith("; run the experiment again to train its trial again")
    ended = command("report", "run")
    assert ended.code == 1
    missing, damaged, _ = ended.err.splitlines()
    assert missing.startswith("no result: ")
    shown = f"damaged: run/records/{path.name}: not a readable trial record ({reason}"
    assert damaged.startswith(shown)
    assert path.exists()


@pytest.mark.parametrize("damage", [damage for damage, _ in DAMAGED_RECORDS])
def test_a_run_moves_a_damaged_record_aside_and_goes_on_with_the_rest(
    run: RunDir, tiny_bert: Path, damage: Callable[[Path], object], console: Console
) -> None:
    records = read_records(run)
    path = sorted(run.records.iterdir())[0]
    preset, *overrides = small_grid(tiny_bert)
    experiment, plan, _ = plan_of(preset, overrides)
    for number in range(2):
        damage(path)
        with lock_run_dir(run, experiment, plan, console) as there:
            assert there.keys() == records.keys() - {path.stem}
        [line] = said(console)
        name = path.name if number == 0 else f"{path.stem}.1.json"
        assert line.startswith(f"warning: {path}: not a readable trial record (")
        assert line.endswith(f"; moved to {run.damaged / name}, its trial is trained again")
        assert (run.damaged / name).exists()
        assert not path.exists()
        write_record(run, records[path.stem])


def test_foreign_files_among_the_records_are_moved_aside_or_left_alone(
    run: RunDir, tiny_bert: Path, console: Console, command: Command
) -> None:
    (run.records / "notes.txt").write_text("mine")
    (run.records / "[bold]a\nb.json").write_text("[]")
    ended = command("report", "run")
    assert ended.code == 1
    assert "damaged: run/records/[bold]a" in ended.err
    preset, *overrides = small_grid(tiny_bert)
    experiment, plan, _ = plan_of(preset, overrides)
    with lock_run_dir(run, experiment, plan, console) as there:
        assert len(there) == 3
    assert [path.name for path in run.damaged.iterdir()] == ["[bold]a\nb.json"]
    assert (run.records / "notes.txt").read_text() == "mine"
    assert len(said(console)) == 1


def test_a_damaged_plan_is_made_anew(
    run: RunDir, tiny_bert: Path, console: Console, command: Command
) -> None:
    run.plan.write_bytes(run.plan.read_bytes()[:300])
    preset, *overrides = small_grid(tiny_bert)
    experiment, plan, resources = plan_of(preset, overrides)
    with lock_run_dir(run, experiment, plan, console) as there:
        assert len(there) == 3
        assert not run.plan.exists()
        write_metadata(run, experiment, plan, resources)
    moved = run.damaged / "plan.json"
    assert said(console) == [f"warning: {run.plan}: damaged; moved to {moved}, made anew"]
    assert read_plan(run) == list(plan.trials)
    assert command("report", "run").code == 0


def test_report_warns_of_predictions_that_cannot_be_read(run: RunDir, command: Command) -> None:
    first, second, third = sorted(run.records.iterdir())
    for path in (first, second, third):
        write_predictions_of(run, read_record(path))
    assert command("report", "run").err == ""
    os.truncate(run.predictions(second.stem), 100)
    run.predictions(third.stem).unlink()
    ended = command("report", "run")
    assert ended.code == 0
    [warning] = ended.err.splitlines()
    named = re.fullmatch(
        r"warning: run/predictions/(\w+)\.parquet \(and 1 more\): missing or damaged, so "
        r"that intervals and verdicts leave it out; to make it again delete "
        r"run/records/\1\.json and run the experiment again",
        warning,
    )
    assert named is not None
    assert named[1] in (second.stem, third.stem)


def test_the_second_command_in_a_directory_ends_at_once_and_others_need_no_lock(
    run: RunDir, command: Command, tiny_bert: Path, tmp_path: Path
) -> None:
    grid = small_grid(tiny_bert)
    one = [tiny(tiny_bert), "model=tiny", "task=sentiment"]
    with hold_lock(run.root):
        before = (run.root / LOCK).stat().st_ino, (run.root / LOCK).read_bytes()
        for arguments in (
            ["run", *grid, "--run-dir", "run"],
            ["train", "single_task", *one, "--run-dir", "other"],
        ):
            (tmp_path / "other").mkdir(exist_ok=True)
            with hold_lock(tmp_path / "other"):
                ended = command(*arguments)
            assert ended.code == 2
            assert ended.err.startswith(
                f"error: {arguments[-1]}: in use by process {os.getpid()} on "
            )
            assert ended.err.count("\n") == 1
        assert command("report", "run").code == 0
        assert command("plan", *grid).code == 0
        assert ((run.root / LOCK).stat().st_ino, (run.root / LOCK).read_bytes()) == before
    assert command("run", *grid, "--run-dir", "run").code == 0
    assert not (run.root / LOCK).exists()


def test_a_folder_that_is_no_run_directory_gets_no_file(
    tmp_path: Path, tiny_bert: Path, command: Command
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    ended = command("run", *small_grid(tiny_bert), "--run-dir", "mine")
    assert ended.code == 2
    assert ended.err.startswith("error: mine: not empty and no run directory")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_a_run_that_was_killed_before_it_wrote_anything_leaves_a_usable_directory(
    tmp_path: Path, tiny_bert: Path, console: Console
) -> None:
    run_dir = RunDir(tmp_path / "run")
    run_dir.root.mkdir()
    for name in (LOCK, GUARD, ".probe-x"):
        (run_dir.root / name).write_text("")
    os.utime(run_dir.root / LOCK, (1, 1))
    preset, *overrides = small_grid(tiny_bert)
    experiment, plan, _ = plan_of(preset, overrides)
    with lock_run_dir(run_dir, experiment, plan, console) as there:
        assert not there


def test_what_a_killed_process_left_is_no_record(run: RunDir) -> None:
    whole = read_records(run)
    (run.records / ".0123456789ab.json.x1.tmp").write_text('{"key":')
    assert read_records(run) == whole


def test_records_in_no_folder(run: RunDir) -> None:
    shutil.rmtree(run.records)
    run.records.write_text("")
    with pytest.raises(RunDirectoryError, match="records: not a folder"):
        read_records(run)


@pytest.mark.parametrize("content", [b"a: [", b"\xff\x00", b"[1]", b"5", b"nonsense: 1"])
def test_a_damaged_config_is_named(
    run: RunDir, command: Command, tiny_bert: Path, content: bytes
) -> None:
    run.config.write_bytes(content)
    ended = command("run", *small_grid(tiny_bert), "--run-dir", "run")
    assert ended.code == 2
    assert ended.err.startswith("error: run/config.yaml: damaged, or of another command (")
    assert ended.err.count("\n") == 1


def test_a_read_only_disk_is_found_before_anything_runs(
    tmp_path: Path, tiny_bert: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr(directory.tempfile, "NamedTemporaryFile", refuse)
    ended = command("run", *small_grid(tiny_bert), "--run-dir", "run")
    assert ended.code == 2
    assert ended.err == (
        "error: run: cannot be written (Read-only file system); "
        "choose another directory with --run-dir\n"
    )


def test_a_resolved_config_is_the_same_experiment(run: RunDir, tmp_path: Path) -> None:
    copy = tmp_path / "again.yaml"
    shutil.copy(run.config, copy)
    again = load_experiment(str(copy), [])
    assert again.seeds == (1,)
    experiment, plan, _ = plan_of(str(copy), [])
    take(run, experiment, plan)
