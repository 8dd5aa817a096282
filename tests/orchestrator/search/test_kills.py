"""A search through the real command line: interrupted, killed, finished."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.local_search import LocalSearches, compared, ledger_lines, reported
from tests.helpers.ray_grid import Grid, assert_nothing_left, ended, until
from trainables.storage.run_dir import RunDir


@pytest.fixture
def grid(tiny_bert: Path, tmp_path: Path) -> Iterator[Grid]:
    grid = Grid(
        tmp_path,
        tiny_bert,
        (
            "tasks=[sentiment]",
            "arms=[single_task]",
            "resources.max_concurrent=1",
            "training.batch_size=8",
            "training.epochs=2",
            "tune={trials: 4, reduction: 2, grace: 0.4, defaults: false}",
            "checkpoint.every=0.2",
        ),
        command=("tune", "demo", "quick"),
    )
    yield grid
    grid.end()


def test_a_killed_search_goes_on_to_the_choice_of_one_that_was_not(
    grid: Grid, searches: LocalSearches, tmp_path: Path
) -> None:
    search = _Search(grid.folder, grid.encoder)
    ledger = search.run_dir.ledger

    process = grid.start("--local")
    until(search.training, process)
    os.killpg(process.pid, signal.SIGINT)
    interrupted = ended(process)
    assert interrupted.code == 130
    first, second = interrupted.err.splitlines()
    assert first == f"interrupted; finished trials are kept in {grid.run_dir.root}"
    assert second.startswith("continue with: python -m orchestrator tune demo quick ")
    assert " --local" in second
    assert_nothing_left(process.pid)
    assert b'"measured"' not in ledger.read_bytes()

    process = grid.start("--local")
    until(lambda: b'"measured"' in ledger.read_bytes(), process)
    os.kill(process.pid, signal.SIGKILL)
    assert ended(process).code == -signal.SIGKILL

    run = ended(grid.start("--local"))
    assert run.code == 0, run
    assert "Traceback" not in run.out + run.err
    assert grid.run_dir.tuning("html").stat().st_size > 10_000
    assert list((search.run_dir.root / "checkpoints").glob("*")) == []

    whole = tmp_path / "whole"
    space = grid.command[2]
    searches.tune(whole, space, grid.overrides())
    assert ledger_lines(grid.run_dir.root) == ledger_lines(whole)
    assert reported(grid.run_dir.root) == reported(whole)
    assert compared(grid.run_dir.root) == compared(whole)
    statuses = {row["status"] for row in reported(whole)}
    assert statuses == {"finished", "stopped"}


class _Search(Grid):
    """The folder of the search's trials."""

    @property
    def run_dir(self) -> RunDir:
        return RunDir(self.folder / "run" / "search")
