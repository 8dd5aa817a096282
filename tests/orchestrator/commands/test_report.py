"""Reports are made from what a run directory holds, and nothing else changes them."""

import errno
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.commands import report as module
from orchestrator.commands.report import next_commands, report
from orchestrator.report.render import FORMATS
from tests.conftest import PROJECT
from tests.helpers.records import write_predictions_of
from tests.helpers.run_folders import finished_grid
from trainables.results.record import read_records
from trainables.storage.run_dir import RunDir


@pytest.fixture
def run_dir(tmp_path: Path, tiny_bert: Path) -> RunDir:
    """A run directory of a small grid with records and predictions."""
    made = finished_grid(tmp_path / "run", tiny_bert)
    for record in read_records(made).values():
        write_predictions_of(made, record)
    return made


def reported(run_dir: RunDir) -> list[bytes]:
    """The files that a report writes."""
    report(run_dir.root)
    return [path.read_bytes() for path in (run_dir.results, *map(run_dir.table, FORMATS))]


def test_a_report_is_the_same_with_and_without_the_predictions_cache(run_dir: RunDir) -> None:
    first = reported(run_dir)
    assert report(run_dir.root).table.comparisons
    assert run_dir.predictions_cache.is_file()
    assert reported(run_dir) == first
    run_dir.predictions_cache.unlink()
    assert reported(run_dir) == first


def test_the_next_commands_are_of_the_stored_configuration(run_dir: RunDir, tmp_path: Path) -> None:
    table = report(run_dir.root).table
    [answer] = table.answers
    [line] = next_commands(run_dir.root, replace(table, answers=(answer,)))
    assert line == (
        f"python -m orchestrator run {run_dir.config} {shlex.quote(answer.next_step[0])} "
        f"--run-dir {run_dir.root}"
    )
    wider = replace(answer, next_step=("margins.macro=5",))
    [line] = next_commands(run_dir.root, replace(table, answers=(wider,)))
    assert line.endswith(f"margins.macro=5 --run-dir {run_dir.root}-next")
    tuned = replace(answer, tuned=True)
    assert next_commands(run_dir.root, replace(table, answers=(tuned,))) == []
    two = replace(
        table, answers=(answer, answer), rows=(*table.rows, replace(table.rows[-1], model="b"))
    )
    lines = next_commands(run_dir.root, two)
    assert [line.rpartition("-")[2] for line in lines] == ["next", "next2"]
    assert all(f"'models=[{answer.model}]'" in line for line in lines)
    run_dir.config.unlink()
    assert next_commands(run_dir.root, table) == []


def test_predictions_that_are_gone_are_missed_although_they_were_cached(run_dir: RunDir) -> None:
    report(run_dir.root)
    key = next(iter(read_records(run_dir)))
    run_dir.predictions(key).unlink()
    [warning] = report(run_dir.root).warnings
    assert str(run_dir.predictions(key)) in warning


def test_a_read_only_run_directory_is_reported_without_writing(
    run_dir: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(module, "write_results", refuse)
    outcome = report(run_dir.root)
    assert outcome.table.comparisons
    assert outcome.warnings == (
        f"{run_dir.root}: cannot be written (Read-only file system), so no file was",
    )


def test_the_report_of_a_grid_imports_no_torch(run_dir: RunDir) -> None:
    code = (
        "import sys\n"
        "from orchestrator.cli.app import main\n"
        "try:\n"
        "    main(['report', sys.argv[1]])\n"
        "except SystemExit:\n"
        "    pass\n"
        "print(sorted({'torch', 'transformers', 'ray'} & sys.modules.keys()))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(run_dir.root)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout.splitlines()[-1] == "[]"
