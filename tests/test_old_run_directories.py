"""Run directories that commit fc1fbc3 made are read as that commit would, and not trained further.

Trials give other numbers since then (``CODE_SCHEMA``).
"""

import re
import shutil
import tarfile
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.helpers.command import Command
from trainables.storage.run_dir import RunDir

pytestmark = pytest.mark.filterwarnings(
    # The presets use the names that keys had; the command line prints a hint for each.
    "default::trainables.errors.RenamedKeyWarning"
)

FIXTURES = Path(__file__).parent / "fixtures" / "fc1fbc3"
EXPECTED = FIXTURES / "expected"
COMMIT = "0" * 40


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


@in_run_directory("pbt")
def test_a_search_without_a_comparison_has_no_table_as_json(
    run_directory: RunDir, command: Command
) -> None:
    result = command("report", "pbt", "--json")
    assert (result.code, result.out) == (2, "")
    assert "error: pbt: this search has no comparison yet; tuning.json has what it found" in (
        result.err
    )


@every_run_directory
def test_watch_shows_the_same_state(run_directory: RunDir, command: Command) -> None:
    before = contents(run_directory.root)
    result = command("watch", "--once", run_directory.root.name)
    expected = (EXPECTED / run_directory.root.name / "watch.out").read_text()
    assert result.code == 1
    assert without_elapsed(result.out) == without_elapsed(expected)
    assert contents(run_directory.root) == before


@pytest.mark.parametrize(
    ("run_directory", "command_line"),
    [
        ("grid", ["run", "grid.yaml", "--run-dir", "grid", "--local"]),
        ("search", ["tune", "search.yaml", "space.yaml", "--run-dir", "search", "--local"]),
        ("pbt", ["tune", "pbt.yaml", "space.yaml", "--run-dir", "pbt", "--local"]),
    ],
    indirect=["run_directory"],
)
def test_nothing_is_trained_where_other_numbers_are(
    run_directory: RunDir, command_line: list[str], command: Command
) -> None:
    kept = [run_directory.records, run_directory.root / "search" / "records"]
    before = [contents(path) for path in kept]
    result = command(*command_line)
    assert result.code == 2
    assert "was made by a version of this project whose trials give other numbers" in result.err
    assert [contents(path) for path in kept] == before


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
