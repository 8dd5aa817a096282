"""Run directories that commit fc1fbc3 made are read, and gone on with, as that commit would."""

import json
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from huggingface_hub import constants

from tests.helpers.command import Command
from trainables.results.record import TrialRecord, read_record
from trainables.storage.run_dir import RunDir

pytestmark = pytest.mark.filterwarnings(
    # The presets use the names that keys had; the command line prints a hint for each.
    "default::trainables.errors.RenamedKeyWarning"
)

FIXTURES = Path(__file__).parent / "fixtures" / "fc1fbc3"
EXPECTED = FIXTURES / "expected"
CONTINUED = FIXTURES / "continued"
COMMIT = "0" * 40
STUDENT = "4adaf909ed59"
"""The trial of the grid that was training when the grid was interrupted."""


@pytest.fixture(autouse=True)
def encoder_in_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The encoder of the fixtures, where the Hub's client would have put it."""
    repository = tmp_path / "hub" / "models--example--tiny-bert"
    shutil.copytree(FIXTURES / "encoder", repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def run_directory(tmp_path: Path, command: Command, request: pytest.FixtureRequest) -> RunDir:
    """One of the run directories, in the working directory together with the presets."""
    for path in FIXTURES.glob("*.yaml"):
        shutil.copy(path, tmp_path)
    with tarfile.open(FIXTURES / f"{request.param}.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return RunDir(tmp_path / request.param)


every_run_directory = pytest.mark.parametrize(
    "run_directory", ["grid", "search", "pbt"], indirect=True
)


def in_run_directory(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("run_directory", [name], indirect=True)


@every_run_directory
def test_report_writes_the_same_files(run_directory: RunDir, command: Command) -> None:
    expected = EXPECTED / run_directory.root.name
    result = command("report", run_directory.root.name)
    assert result.code == (0 if run_directory.root.name == "pbt" else 1)
    assert result.out == (expected / "report.out").read_text()
    assert result.err == (expected / "report.err").read_text()
    for path in expected.iterdir():
        if path.stem not in ("report", "watch"):
            assert (run_directory.root / path.name).read_bytes() == path.read_bytes(), path.name


@every_run_directory
def test_watch_shows_the_same_state(run_directory: RunDir, command: Command) -> None:
    before = contents(run_directory.root)
    result = command("watch", "--once", run_directory.root.name)
    expected = (EXPECTED / run_directory.root.name / "watch.out").read_text()
    assert result.code == 1
    assert without_elapsed(result.out) == without_elapsed(expected)
    assert contents(run_directory.root) == before


@in_run_directory("grid")
def test_a_grid_goes_on_from_its_checkpoint(run_directory: RunDir, command: Command) -> None:
    before = contents(run_directory.records)
    result = command("run", "grid.yaml", "--run-dir", "grid", "--local")
    assert "checkpoint.patience is now called checkpoint.storage_timeout" in result.err
    assert result.code == 1, result.err
    after = contents(run_directory.records)
    # The failed trial is tried again, and its teachers have diverged for good.
    assert changed(before, after) == {f"{STUDENT}.json", "fd3f6c9a0133.json"}
    student = read_record(run_directory.record(STUDENT))
    expected = read_record(CONTINUED / "grid" / f"{STUDENT}.json")
    assert student.interruptions == expected.interruptions == 1
    assert confusions(student) == confusions(expected)
    assert_same_epochs(student, expected)


@in_run_directory("search")
def test_a_search_goes_on_and_takes_more_trials(run_directory: RunDir, command: Command) -> None:
    search = RunDir(run_directory.root / "search")
    before = [contents(run_directory.records), contents(search.records)]
    command_line = ["search.yaml", "space.yaml", "tune.trials=6", "--run-dir", "search", "--local"]
    result = command("tune", *command_line)
    assert result.code == 0, result.err
    after = [contents(run_directory.records), contents(search.records)]
    assert [len(changed(*records)) for records in zip(before, after, strict=True)] == [5, 1]
    assert_same_ledger(search, "search", kept=21)
    assert_same_metrics(run_directory, "search")


@in_run_directory("pbt")
def test_a_pbt_search_goes_on_from_its_checkpoints(run_directory: RunDir, command: Command) -> None:
    search = RunDir(run_directory.root / "search")
    before = contents(search.records)
    result = command("tune", "pbt.yaml", "space.yaml", "--run-dir", "pbt", "--local")
    assert result.code == 0, result.err
    assert len(changed(before, contents(search.records))) == 6
    assert_same_ledger(search, "pbt", kept=8)
    assert_same_metrics(run_directory, "pbt")


def contents(folder: Path) -> dict[str, bytes]:
    """Relative path -> content of every file of a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    """Names of files that are new, gone or not what they were."""
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def without_elapsed(shown: str) -> str:
    """What was shown but for the time since the run directory was made."""
    return re.sub(r"[0-9:]+ elapsed", "elapsed", shown)


def confusions(record: TrialRecord) -> dict[str, Any]:
    """Split -> task -> confusion matrix."""
    return {
        split: {task: result.confusion for task, result in results.items()}
        for split, results in record.results.items()
    }


def assert_same_epochs(record: TrialRecord, expected: TrialRecord) -> None:
    """The same course of training, up to rounding that differs between machines."""
    for ours, theirs in zip(record.history, expected.history, strict=True):
        assert (ours.step, ours.examples) == (theirs.step, theirs.examples)
        assert ours.learning_rate == theirs.learning_rate
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-3)


def assert_same_ledger(search: RunDir, name: str, kept: int) -> None:
    """The first ``kept`` lines are untouched, the others decide what fc1fbc3 decided."""
    with tarfile.open(FIXTURES / f"{name}.tar.xz") as archive:
        file = archive.extractfile(f"{name}/search/ledger.jsonl")
        assert file is not None
        before = file.read()
    assert before.count(b"\n") == kept
    assert search.ledger.read_bytes().startswith(before)
    assert decisions(search.ledger) == decisions(CONTINUED / name / "ledger.jsonl")


def decisions(ledger: Path) -> list[dict[str, Any]]:
    """The suggestions and decisions of a ledger, without what another machine measures otherwise.

    Ledgers of fc1fbc3 say neither how trials ended nor whether a report was their last.
    """
    other = ("line", "trained", "score", "loss", "seconds", "sha256")
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    return [
        {k: v for k, v in line.items() if k not in other}
        for line in lines
        if line["event"] != "ended"
    ]


def assert_same_metrics(run_directory: RunDir, name: str) -> None:
    """All metrics of the comparison are those of fc1fbc3."""
    ours, theirs = pd.read_csv(run_directory.results), pd.read_csv(CONTINUED / name / "results.csv")
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-6)
