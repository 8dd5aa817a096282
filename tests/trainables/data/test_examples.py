"""Texts and groups of rows, in every source alike."""

import json
from pathlib import Path

import pytest

from tests.helpers.data_files import ENDINGS, write
from trainables.config.task import TaskConfig
from trainables.data.files import load as load_files
from trainables.data.glue_dir import load as load_glue_dir
from trainables.data.hub import load as load_hub
from trainables.data.splits import RawTask
from trainables.errors import DataError

Pairs = list[tuple[str | None, str | None]]
HEADER = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
SOURCES = [*ENDINGS, "hub", "glue_dir"]


def load(source: str, folder: Path, pairs: Pairs) -> RawTask:
    """A task of these pairs of texts."""
    rows = [(a, b, str(i % 2)) for i, (a, b) in enumerate(pairs)]
    if source == "glue_dir":
        (folder / "MRPC").mkdir()
        lines = [f"{label}\t1\t2\t{a}\t{b}\n" for a, b, label in rows]
        for name in ("train", "dev"):
            (folder / "MRPC" / f"{name}.tsv").write_text(HEADER + "".join(lines))
        config = TaskConfig.model_validate({"text": ["a", "b"], "glue_dir": "MRPC"})
        return load_glue_dir("mine", config, str(folder))
    ending = "jsonl" if source == "hub" else source
    path = write(folder / f"train.{ending}", ["a", "b", "label"], rows)
    if source == "hub":
        hub = {"name": str(folder), "validation": "train"}
        return load_hub("mine", TaskConfig.model_validate({"text": ["a", "b"], "hub": hub}), None)
    files = {"train": str(path), "validation": str(path)}
    config = TaskConfig.model_validate({"text": ["a", "b"], "files": files})
    return load_files("mine", config, None)


@pytest.fixture(autouse=True)
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.parametrize("source", SOURCES)
def test_one_text_of_a_pair_may_be_empty(source: str, tmp_path: Path) -> None:
    pairs: Pairs = [("one", ""), ("", "two"), ("three", " "), ("four", "five")]
    assert load(source, tmp_path, pairs).splits["train"].texts == pairs


@pytest.mark.parametrize("source", ["jsonl", "parquet", "hub"])
def test_a_null_in_a_pair_is_an_empty_text(source: str, tmp_path: Path) -> None:
    raw = load(source, tmp_path, [("one", None), (None, "two")])
    assert raw.splits["train"].texts == [("one", ""), ("", "two")]


@pytest.mark.parametrize("empty", [("", ""), (" ", ""), (None, ""), (None, None)])
@pytest.mark.parametrize("source", SOURCES)
def test_both_texts_of_a_pair_may_not_be_empty(source: str, empty: tuple, tmp_path: Path) -> None:
    if None in empty and source in ("csv", "tsv", "glue_dir"):
        empty = ("", "")
    with pytest.raises(DataError, match=r"(\.csv:3|\.tsv:3|:2| row 2): both .* are empty"):
        load(source, tmp_path, [("one", "two"), empty, ("three", "four")])


def test_a_single_text_of_a_hub_data_set_may_not_be_empty(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", ["s", "label"], [("one", 0), (" ", 1)])
    hub = {"name": str(tmp_path), "validation": "train"}
    with pytest.raises(DataError, match=r"train row 2: the text is empty; remove"):
        load_hub("mine", TaskConfig.model_validate({"text": ["s"], "hub": hub}), None)


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_a_split_that_is_not_divided_may_have_groups(kind: str, tmp_path: Path) -> None:
    columns, rows = ["s", "label", "author"], [("one", "a", "x"), ("two", "b", "y")]
    train = write(tmp_path / f"t.{kind}", columns, rows)
    grouped = write(tmp_path / f"v.{kind}", columns, [(s, label, "z") for s, label, _ in rows])
    single = write(tmp_path / f"w.{kind}", columns[:2], [row[:2] for row in rows])
    files = {"train": str(train), "validation": str(grouped), "test": str(single)}
    settings = {"text": ["s"], "files": files, "group": "author"}
    splits = load_files("mine", TaskConfig.model_validate(settings), None).splits
    assert splits["validation"].groups is not None
    assert splits["validation"].groups.tolist() == [0, 0]
    assert splits["test"].groups is None


def test_a_line_of_jsonl_without_its_group_is_refused(tmp_path: Path) -> None:
    path, other = tmp_path / "t.jsonl", tmp_path / "v.jsonl"
    rows = [{"s": "one", "label": 0, "g": 7}, {"s": "two", "label": 1, "g": 8}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    other.write_text(json.dumps(rows[0]) + "\n" + json.dumps({"s": "two", "label": 1}) + "\n")
    files = {"train": str(path), "validation": str(other)}
    config = TaskConfig.model_validate({"text": ["s"], "files": files, "group": "g"})
    with pytest.raises(DataError, match=r"v\.jsonl:2: the group is empty"):
        load_files("mine", config, None)


def test_groups_are_numbered_within_their_split(tmp_path: Path) -> None:
    train = [("one", "a", "x"), ("two", "b", " e\u0301 "), ("three", "a", "\u00e9")]
    write(tmp_path / "t.csv", ["s", "label", "author"], train)
    write(tmp_path / "v.csv", ["s", "label"], [("four", "a")])
    files = {"train": str(tmp_path / "t.csv"), "validation": str(tmp_path / "v.csv")}
    settings = {"text": ["s"], "files": files, "group": "author"}
    splits = load_files("mine", TaskConfig.model_validate(settings), None).splits
    groups = splits["train"].groups
    assert groups is not None
    assert groups.tolist() == [0, 1, 1]
    assert splits["validation"].groups is None


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_group_is_refused(empty: str | None, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    rows = [{"s": "one", "label": 0, "g": 7}, {"s": "two", "label": 1, "g": empty}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = {"train": str(path), "validation": str(path)}

    def read(group: str) -> RawTask:
        config = TaskConfig.model_validate({"text": ["s"], "files": files, "group": group})
        return load_files("mine", config, None)

    with pytest.raises(DataError, match=r"t\.jsonl:2: the group is empty.*mine\.group"):
        read("g")
    with pytest.raises(DataError, match=r"no column 'h' \(define\.tasks\.mine\.group\)"):
        read("h")
