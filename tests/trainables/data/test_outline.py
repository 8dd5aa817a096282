"""Outlines and facts: those of the data, read once, made anew when a file changes or is damaged."""

import os
from pathlib import Path
from typing import Any

import pytest

from trainables.config.task import TaskConfig
from trainables.config.trial import LimitsConfig
from trainables.data import fact_cache, outline
from trainables.data.outline import TaskSource
from trainables.data.sources import load_task
from trainables.data.splits import RawTask
from trainables.errors import DataError

LIMITS = LimitsConfig(max_train_examples=3)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tasks that were read; this process knows no facts yet."""
    names: list[str] = []
    read = outline.read_task

    def counting(name: str, *rest: Any) -> RawTask:
        names.append(name)
        return read(name, *rest)

    monkeypatch.setattr(outline, "read_task", counting)
    monkeypatch.setattr(fact_cache, "_memory", {})
    return names


def source(folder: Path, name: str = "t") -> TaskSource:
    """A task of two files that were written a while ago."""
    files = {split: str(folder / f"{name}-{split}.csv") for split in ("train", "validation")}
    rows = {"train": "a,0\nb,1\na,1\nc,0\n", "validation": "a,0\nd,1\n"}
    for split, file in files.items():
        if not Path(file).exists():
            Path(file).write_text("s,label\n" + rows[split])
            os.utime(file, (1e9, 1e9))
    task = TaskConfig.model_validate({"text": ("s",), "files": files})
    return TaskSource(name, task, "files", None, folder / "tokens")


def forget() -> None:
    """Go on as another process would."""
    fact_cache._memory.clear()


def test_an_outline_is_that_of_the_data(tmp_path: Path, reads: list[str]) -> None:
    task = source(tmp_path)
    for _ in range(2):
        outlined = task.outline(LIMITS, None)
        data = load_task(
            "t", task.task, "files", glue_dir=None, limits=LIMITS, selection_fraction=None
        )
        for attribute in ("name", "labels", "fingerprint", "origin", "pair"):
            assert getattr(outlined, attribute) == getattr(data, attribute)
        assert {n: (len(s), s.mean_length) for n, s in outlined.splits.items()} == {
            n: (len(s), s.mean_length) for n, s in data.splits.items()
        }
        forget()
    assert reads == ["t"]


def all_facts(task: TaskSource, other: TaskSource) -> list[Any]:
    return [
        task.profile,
        task.outline(LIMITS, None, True, [other]),
        task.shared_with(other),
        task.dropped(True, [other]),
    ]


def test_facts_are_found_out_once(tmp_path: Path, reads: list[str]) -> None:
    first = all_facts(source(tmp_path), source(tmp_path, "u"))
    assert sorted(reads) == ["t", "u"]
    forget()
    assert all_facts(source(tmp_path), source(tmp_path, "u")) == first
    assert len(reads) == 2
    # a stands in train twice.
    assert first[2:] == [{"validation": 1}, 2]


def test_a_file_that_changes_is_read_again(tmp_path: Path, reads: list[str]) -> None:
    before = source(tmp_path).profile
    file = tmp_path / "t-train.csv"
    file.write_text(file.read_text().replace("c,0", "d,0"))
    os.utime(file, (1e9, 1e9 + 1))
    after = source(tmp_path).profile
    assert len(reads) == 2
    assert after.in_train["validation"].examples == before.in_train["validation"].examples + 1


def test_nothing_is_kept_of_a_file_that_has_just_changed(tmp_path: Path, reads: list[str]) -> None:
    source(tmp_path)
    (tmp_path / "t-train.csv").touch()
    assert source(tmp_path).identity is None
    for _ in range(2):
        assert source(tmp_path).profile.contradictions == 1
    assert len(reads) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"fact": "{}", "sha256": "0"}', b"\xff"])
def test_a_damaged_fact_is_made_anew(tmp_path: Path, reads: list[str], content: bytes) -> None:
    before = source(tmp_path).profile
    [file] = (tmp_path / "tokens").glob("*.json")
    whole = file.read_bytes()
    file.write_bytes(content)
    forget()
    assert source(tmp_path).profile == before
    assert len(reads) == 2
    assert file.read_bytes() == whole


def test_without_a_cache_that_can_be_written_facts_are_found_out(
    tmp_path: Path, reads: list[str]
) -> None:
    (tmp_path / "tokens").write_text("a file")
    assert source(tmp_path).profile.repeated == 1
    assert reads == ["t"]


def test_an_error_is_not_kept(tmp_path: Path, reads: list[str]) -> None:
    source(tmp_path)
    file = tmp_path / "t-train.csv"
    whole = file.read_text()
    file.write_text("s,label\n")
    os.utime(file, (1e9, 1e9))
    with pytest.raises(DataError, match="no rows"):
        _ = source(tmp_path).profile
    file.write_text(whole)
    os.utime(file, (1e9, 1e9))
    assert source(tmp_path).profile.repeated == 1
