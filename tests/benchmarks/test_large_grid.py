"""The drawn grid: every trial has a record and predictions that a report takes."""

import json
from pathlib import Path

import pytest

from benchmarks import large_grid
from benchmarks.large_grid import PER_SEED, STEPS, draw_run_dir, main
from orchestrator.commands.report import report


def test_a_drawn_grid_is_complete_and_every_step_runs(tmp_path: Path) -> None:
    trials = 2 * PER_SEED
    assert draw_run_dir(tmp_path / "run", trials) == trials
    for work in STEPS.values():
        work(tmp_path / "run", trials)
    outcome = report(tmp_path / "run")
    assert (outcome.failed, outcome.missing, outcome.warnings) == ((), (), ())
    assert {c.seeds for c in outcome.table.comparisons} == {(2, 2)}


def test_the_table_and_the_file_have_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = {"trials": 10000, "steps": {"plan": {"seconds": 1.25, "cpu": 1, "megabytes": 300}}}
    monkeypatch.setattr(large_grid, "measure", lambda trials, root: result)
    main(["--json", str(tmp_path / "numbers.json")])
    assert json.loads((tmp_path / "numbers.json").read_text()) == result
    assert "| plan | 1.2 s | 1.0 s | 300 MB |" in capsys.readouterr().out
