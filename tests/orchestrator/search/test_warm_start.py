"""A search that is started from an earlier one, and what becomes of that one later."""

import shutil
from pathlib import Path

import pytest

from orchestrator.search import study
from orchestrator.search.warm_start import read_warm_start, warm_start_of
from tests.helpers.command import Command
from tests.helpers.local_search import LocalSearches, overrides, reported, space_file
from trainables.errors import ConfigError
from trainables.storage.run_dir import RunDir

FEW = ("tasks=[sentiment]", "arms=[single_task]", "tune.scheduler=none", "tune.refit=false")
RATE = "training.learning_rate"


@pytest.fixture
def settings(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    # The highest rate is the best one.
    monkeypatch.setattr(study, "final_score", lambda record: record.config.training.learning_rate)
    return overrides(tiny_bert, *FEW)


def test_a_search_goes_on_as_it_began_whatever_becomes_of_the_earlier_one(
    searches: LocalSearches, settings: list[str], tmp_path: Path
) -> None:
    space = space_file(tmp_path, training__learning_rate="{choice: [1.0e-4, 1.0e-3, 1.0e-2]}")
    before, run = tmp_path / "before", tmp_path / "run"
    grid = [*settings, "tune.search=grid"]
    searches.tune(before, space, [*grid, "tune.trials=2"])
    first = read_warm_start(str(before))
    warm = [*settings, f"tune.warm_start={before}"]
    searches.tune(run, space, [*warm, "tune.trials=1"])
    assert [float(row[RATE]) for row in reported(run)] == [1e-3]
    searches.tune(before, space, [*grid, "tune.trials=3"])
    assert read_warm_start(str(before)) != first
    assert warm_start_of(RunDir(run / "search"), str(before)) == first
    shutil.rmtree(before)
    searches.tune(run, space, [*warm, "tune.trials=3"])
    best, *others = reported(run)
    assert float(best[RATE]) == 1e-3
    assert len(others) == 2


def test_an_earlier_search_may_lie_behind_a_url(
    searches: LocalSearches, command: Command, settings: list[str], tmp_path: Path
) -> None:
    line = ("tune", "--local", "demo", "quick", *settings, "tune.trials=1")
    assert command(*line, "--run-dir", "before").code == 0
    url = (tmp_path / "before").as_uri()
    ended = command(*line, "--run-dir", "run", "--warm-start", url)
    assert ended.code == 0, ended
    one, other = reported(tmp_path / "before"), reported(tmp_path / "run")
    assert one[0][RATE] == other[0][RATE]
    assert warm_start_of(RunDir(tmp_path / "run" / "search"), url) == read_warm_start(url)


@pytest.mark.parametrize("name", ["search.json", "ledger.jsonl"])
def test_nobody_is_told_to_delete_a_file_of_the_earlier_search(
    name: str, searches: LocalSearches, settings: list[str], tmp_path: Path
) -> None:
    searches.tune(tmp_path / "before", "quick", [*settings, "tune.trials=1"])
    path = tmp_path / "before" / "search" / name
    path.write_bytes(path.read_bytes().replace(b"0", b"1"))
    with pytest.raises(ConfigError) as caught:
        read_warm_start(str(tmp_path / "before"))
    where, told = str(caught.value).split(f"{path}: ")
    assert where == f"tune.warm_start={tmp_path / 'before'}: "
    assert not {"delete", "--run-dir"} & set(told.split())
    assert "damaged" in told


def test_damage_to_what_a_search_began_with_is_one_line(
    searches: LocalSearches, command: Command, settings: list[str], tmp_path: Path
) -> None:
    line = ("tune", "--local", "demo", "quick", *settings, "tune.trials=1")
    assert command(*line, "--run-dir", "before").code == 0
    warm = (*line, "--run-dir", "run", "--warm-start", "before")
    assert command(*warm).code == 0
    kept = tmp_path / "run" / "search" / "earlier.json"
    kept.write_bytes(kept.read_bytes()[:-40])
    ended = command(*warm)
    assert ended.code == 2
    assert "earlier.json: damaged; delete it to start from before as it is now" in ended.err
    assert ended.err.count("\n") == 1
    kept.unlink()
    assert command(*warm).code == 0
