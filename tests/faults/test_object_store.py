"""A grid whose run directory is an object store, killed, and continued on an empty machine."""

import dataclasses
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.commands.report import report
from orchestrator.report.render import table_json
from orchestrator.run_dir.lock import LOCK
from tests.helpers.object_store import NewBucket, fetch_all
from tests.helpers.ray_grid import Grid, assert_nothing_left, ended, until
from tests.helpers.reference_run import ReferenceRun
from trainables.results.record import read_records
from trainables.storage.object_store import Store
from trainables.storage.run_dir import RunDir

pytestmark = pytest.mark.slow


@pytest.fixture
def stored(reference_run: ReferenceRun, s3: NewBucket, tmp_path: Path) -> Iterator[Grid]:
    """The grid of the other fault tests, with a bucket for a run directory."""
    grid = dataclasses.replace(reference_run.grid, folder=tmp_path, url=s3())
    yield grid
    grid.end()


def test_a_killed_grid_goes_on_from_an_empty_machine(
    stored: Grid, reference_run: ReferenceRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(stored.url or "")

    def midway() -> bool:
        """A trial has ended, and another one that has not has a whole checkpoint.

        The process stands still from before one looks, and if so until the kill: no trial can end.
        """
        process.send_signal(signal.SIGSTOP)
        names = store.files()
        ended_ones = {Path(name).stem for name in names if name.startswith("records/")}
        saved = {name.split("/")[1] for name in names if name.endswith("/manifest.json")}
        if ended_ones and saved - ended_ones:
            return True
        process.send_signal(signal.SIGCONT)
        return False

    process = stored.start("--local", cache=tmp_path / "one")
    until(midway, process)
    stored.end()
    ended(process)
    assert_nothing_left(process.pid)
    before = {Path(name).stem for name in store.files("records")}
    # Another machine: nothing of the first one's disk.
    run = ended(stored.start("--local", cache=tmp_path / "two"))
    assert run.code == 0, run
    assert run.err == ""
    assert f"run directory: {stored.url}" in run.out

    names = store.files()
    assert not [name for name in names if name.startswith("checkpoints/")]
    assert LOCK not in names
    copy = RunDir(fetch_all(store.url, tmp_path / "copy"))
    reference_run.assert_same(copy)
    records = read_records(copy)
    assert any(record.interruptions for record in records.values()), (
        "none went on from where it was"
    )
    assert all(not records[key].interruptions for key in before)

    # A third machine, with the records alone.
    monkeypatch.setenv("ONE_OR_MANY_CACHE", str(tmp_path / "three"))
    table = report(store.url).table
    assert table_json(table) == copy.table("json").read_text(encoding="utf-8")
