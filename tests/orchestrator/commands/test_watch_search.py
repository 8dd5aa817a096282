"""Watching a search: its trials lie in a folder of their own, and become known on the way."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.commands import watch
from orchestrator.commands.watch import follow
from orchestrator.search.ledger import Ledger, ScoreReported, SegmentStarted
from orchestrator.search.study import Description
from tests.helpers.fake_search import SPACE, group, suggested
from tests.helpers.run_folders import RunFolder
from trainables.results.record import checksum
from trainables.storage.run_dir import RunDir
from trainables.trial.progress import write_progress


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.02)


class Search:
    """A run directory in which two groups are searched; nothing is planned to compare yet."""

    def __init__(self, root: Path, **tune: object) -> None:
        self.run = RunFolder(root)
        self.plan = self.run.run_dir.plan.read_bytes()
        self.run.run_dir.plan.unlink()
        self.run.held_elsewhere()
        self.run_dir = RunDir(root / "search")
        self.run_dir.root.mkdir()
        content = Description.model_validate(
            {"space": SPACE, "tune": tune, "groups": (group("a"), group("b"))}
        ).model_dump(mode="json")
        content["sha256"] = checksum(content)
        self.run_dir.search.write_text(json.dumps(content))
        self.ledger = Ledger(self.run_dir.ledger)

    def stopped(self, key: str) -> None:
        self.ledger.append(
            ScoreReported(key=key, examples=100, score=0.25, loss=0.7, seconds=1.0, decision="stop")
        )

    def shown(self) -> str:
        file = io.StringIO()
        follow(self.run.run_dir.root, Console(file=file, width=300), once=True)
        return file.getvalue()


def words(rung: int) -> dict[str, object]:
    return {
        "epoch": 1.0, "epochs": 2, "step": rung, "total_steps": 100, "examples": rung, "loss": 0.5,
        "headline": 0.75, "headline_name": "macro", "examples_per_second": 10.0, "time": 1.0,
    }  # fmt: skip


def test_trials_that_were_proposed_and_those_to_come_are_counted_by_group(tmp_path: Path) -> None:
    search = Search(tmp_path / "run", trials=3)
    for name, number in (("a", 0), ("b", 0), ("a", 1)):
        search.ledger.append(suggested(name, number))
    search.stopped("a0")
    write_progress(search.run_dir.progress("a1"), words(800))
    text = search.shown()
    assert "1 of 6 done, 1 running, 4 left, 1 stopped" in text
    a, b = ([line.split() for line in text.splitlines() if line.startswith(f"{n}  ")] for n in "ab")
    assert a[0][1:3] == ["1/3", "1"]
    assert b[0][1] == "0/3"
    assert "1.0/2 0.500" in " ".join(next(ln for ln in text.splitlines() if "a #1" in ln).split())


def test_no_more_than_asked_for_of_all_groups_are_to_come(tmp_path: Path) -> None:
    search = Search(tmp_path / "run", trials=3, max_trials=4)
    search.ledger.append(suggested("a", 0))
    assert "0 of 4 done" in search.shown()


def test_a_line_that_is_not_whole_yet_waits_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    search = Search(tmp_path / "run", trials=2)
    search.ledger.append(suggested("a", 0))
    search.stopped("a0")
    lines = search.run_dir.ledger.read_bytes().splitlines(keepends=True)
    search.run_dir.ledger.write_bytes(lines[0] + lines[1][:20])
    text = search.shown()
    assert "0 of 4 done" in text
    assert "damaged" not in text
    search.run_dir.ledger.write_bytes(lines[0] + lines[1][:20] + b"\n")
    assert f"damaged: {search.run_dir.ledger}: line 2 cannot be read" in search.shown()


def test_the_ledger_is_followed_line_by_line_until_the_comparison_has_ended(tmp_path: Path) -> None:
    search = Search(tmp_path / "run", trials=1)
    looks = iter(range(100))

    def fetch() -> None:
        look = next(looks)
        if look == 2:
            search.ledger.append(suggested("a", 0))
            write_progress(search.run_dir.progress("a0"), words(50))
        if look == 4:
            search.stopped("a0")
        if look == 6:
            # Of group b nothing was tried: the search has come to its end all the same.
            search.run.run_dir.plan.write_bytes(search.plan)
        if look == 8:
            for index in range(4):
                search.run.ends(index)
            search.run.let_go()

    file = io.StringIO()
    code = follow(search.run.run_dir.root, Console(file=file, width=300), fetch=fetch)
    lines = file.getvalue().splitlines()
    assert code == 0
    assert lines[0] == "started a #0"
    assert lines[1].startswith("stopped a #0: 0.250 at 100")
    assert lines[-1].startswith("5 of 5 done, 0 running, 0 left, 1 stopped")


def test_the_parts_of_a_population_are_counted_one_by_one(tmp_path: Path) -> None:
    search = Search(tmp_path / "run", trials=4, scheduler="pbt", generations=2)
    # All members of a group are suggested before one of them goes on.
    for number in range(4):
        search.ledger.append(suggested("a", number))
    assert "0 of 16 done" in search.shown()
    search.ledger.append(
        SegmentStarted(
            group="a", member=0, generation=1, key="later", settings={}, changes=(), parent="a0",
            source=0, examples=1600,
        )
    )  # fmt: skip
    write_progress(search.run_dir.progress("later"), words(1200))
    text = search.shown()
    assert "0 of 16 done, 1 running" in text
    assert "a #0, part 2" in text
    # Of the 1,200 examples 800 are those of the part before: 400 of 16 parts of 800.
    assert " 3 %" in text.splitlines()[0]
