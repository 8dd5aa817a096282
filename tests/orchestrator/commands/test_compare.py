"""``compare``: one table of several run directories, which stay as they are."""

import shutil
from pathlib import Path

import pytest

from orchestrator.cli.app import main
from orchestrator.commands.compare import compare
from orchestrator.commands.report import report
from orchestrator.report.render import FORMATS, table_json
from tests.helpers.command import Command
from tests.helpers.object_store import NewBucket
from tests.helpers.records import write_predictions_of
from tests.helpers.run_folders import finished_grid
from trainables.results.record import read_records
from trainables.storage.object_store import Store
from trainables.storage.run_dir import RunDir


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    """Seeds 1 and 2 (a) and seed 3 (b) of the same grid, and all of it (whole)."""
    folder = tmp_path_factory.mktemp("runs")
    for name, seeds in (("a", "1,2"), ("b", "3"), ("whole", "1,2,3")):
        run_dir = finished_grid(folder / name, tiny_bert, f"seeds=[{seeds}]")
        for record in read_records(run_dir).values():
            write_predictions_of(run_dir, record)
    return folder


@pytest.fixture
def parts(originals: Path, tmp_path: Path) -> list[Path]:
    """Copies of a and b."""
    for name in ("a", "b"):
        shutil.copytree(originals / name, tmp_path / name)
    return [tmp_path / "a", tmp_path / "b"]


@pytest.fixture
def whole(originals: Path, tmp_path: Path) -> Path:
    """A copy of the whole grid."""
    return shutil.copytree(originals / "whole", tmp_path / "whole")


def test_the_parts_of_a_grid_give_its_numbers(
    parts: list[Path], whole: Path, tmp_path: Path
) -> None:
    before = [content(part) for part in parts]
    merged = compare(parts, tmp_path / "out" / "both")
    at_once = report(whole).table
    assert merged.table.rows == at_once.rows
    assert merged.table.differences == at_once.differences
    assert [c.difference for c in merged.table.comparisons] == [
        c.difference for c in at_once.comparisons
    ]
    assert {c.level for c in merged.table.comparisons} == {0.025}
    assert [content(part) for part in parts] == before
    out = RunDir(tmp_path / "out" / "both")
    assert out.table("json").read_text() == table_json(merged.table)
    assert {path.name for path in out.root.iterdir()} == {
        "results.csv",
        *(f"table.{ending}" for ending in FORMATS),
    }
    lines = out.results.read_text().splitlines()
    assert lines[0].endswith(",run_dir")
    assert {line.rpartition(",")[2] for line in lines[1:]} == set(map(str, parts))


def test_a_trial_without_a_record_is_named_with_its_directory(
    parts: list[Path], command: Command
) -> None:
    next((parts[1] / "records").iterdir()).unlink()
    ended = command("compare", *map(str, parts))
    assert ended.code == 1
    assert f"no result: {parts[1]}: " in ended.err
    assert "5 finished" not in ended.out
    assert "8 finished, 1 not run" in ended.out


def test_a_missing_trial_that_another_directory_has_is_not_missed(
    parts: list[Path], whole: Path
) -> None:
    next((parts[1] / "records").iterdir()).unlink()
    assert compare([*parts, whole]).missing == ()


def test_a_directory_in_an_object_store_counts(
    parts: list[Path], s3: NewBucket, tmp_path: Path
) -> None:
    url = s3()
    store = Store(url)
    for name in content(parts[1]):
        store.upload(parts[1] / name, name)
    here = compare(parts).table
    there = compare([parts[0], url]).table
    assert there.rows == here.rows
    assert [c.interval for c in there.comparisons] == [c.interval for c in here.comparisons]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a"], "compare needs two or more run directories; one alone: report RUN_DIR"),
        (["a", "./a"], "./a: is there twice; name each run directory once"),
        (["a", "none"], "none: no run directory (plan.json is missing)"),
        (["a", "b", "--out", "a"], "--out a: is a run directory or inside one"),
        (["a", "b", "--out", "a/tables"], "--out a/tables: is a run directory or inside one"),
        (["a", "b", "--out", "file"], "--out file: is a file; choose a folder"),
        (["a", "b", "--out", "s3://bucket"], "--out s3://bucket: must be a folder of this machine"),
        (["a", "b", "margins.macr=1"], "margins.macr: is no task of these grids; did you mean mac"),
        (["a", "b", "margins.macro=wide"], "margins.macro=wide: a margin is a number of points"),
        (["a", "b", "margins.macro=0"], "margins.macro=0: must be above 0 and below 100 points"),
        (["a", "b", "margins.macro=nan"], "margins.macro=nan: must be above 0 and below 100"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], message: str, parts: list[Path], command: Command, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    ended = command("compare", *words)
    assert ended.code == 2
    assert ended.err.startswith(f"error: {message}")
    assert ended.err.count("\n") == 1


def test_margins_of_the_command_line_replace_stored_ones(
    parts: list[Path], command: Command
) -> None:
    ended = command("compare", *map(str, parts), "margins.macro=40")
    assert ended.code == 0
    assert "margins chosen" in ended.out
    assert "macro 40" in ended.out


def test_the_help_names_the_arguments(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main(["compare", "--help"])
    assert "RUN_DIR RUN_DIR ..." in capsys.readouterr().out
