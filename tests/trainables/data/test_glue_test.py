"""GLUE's test files without labels, from its download and the Hub, and how answers are written."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from tests.helpers.glue_folder import TESTS, write_glue
from trainables.config.task import TaskConfig
from trainables.data import glue_test
from trainables.data.glue_test import ANSWER_FILES, answers, glue_task, read_test
from trainables.data.task import TaskData
from trainables.errors import DataError


def task(folder: str | None = "CoLA", texts: int = 1, **changes: Any) -> TaskConfig:
    content = {"text": ("a", "b")[:texts], "glue_dir": folder}
    return TaskConfig.model_validate(content | changes)


def read(folder: str, root: Path, texts: int = 2) -> TaskData:
    data = read_test("mine", task(folder, texts), "glue_dir", str(root))
    assert data is not None
    return data


def test_texts_are_read_in_their_order(tmp_path: Path) -> None:
    root = write_glue(tmp_path)
    data = read("CoLA", root, texts=1)
    assert data.splits["CoLA"].texts == [(f'She "left {i}.',) for i in range(TESTS["CoLA"])]
    assert data.splits["CoLA"].labels.tolist() == [0] * TESTS["CoLA"]
    mnli = read("MNLI", root)
    assert {name: len(split) for name, split in mnli.splits.items()} == {
        name: TESTS[name] for name in ("MNLI-m", "MNLI-mm", "AX")
    }
    assert mnli.splits["AX"].texts[1] == ("first 1", "second AX")


def test_a_download_may_lack_the_diagnostic_file(tmp_path: Path) -> None:
    root = write_glue(tmp_path)
    (root / "diagnostic" / "diagnostic.tsv").unlink()
    assert list(read("MNLI", root).splits) == ["MNLI-m", "MNLI-mm"]


def test_the_original_test_file_of_mrpc_stands_for_that_of_glue(tmp_path: Path) -> None:
    (tmp_path / "MRPC").mkdir()
    path = tmp_path / "MRPC" / "msr_paraphrase_test.txt"
    path.write_text("\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tA.\tB.\n")
    assert read("MRPC", tmp_path).splits["MRPC"].texts == [("A.", "B.")]


@pytest.mark.glue
@pytest.mark.parametrize(("folder", "texts"), [("CoLA", 1), ("SST-2", 1), ("MRPC", 2)])
def test_the_real_files_have_glue_s_sizes(folder: str, texts: int, glue_dir: Path) -> None:
    [(name, split)] = read(folder, glue_dir, texts).splits.items()
    assert len(split) == ANSWER_FILES[name].examples
    assert all(all(text) for text in split.texts)


FAULTS = {
    "missing": (None, "test.tsv: no such file"),
    "empty": ("", "test.tsv: the file is empty"),
    "labels": ("x\t1\t\tHe sat.\n", "1: the header is not that of GLUE's test file"),
    "columns": ("index\tsentence\n0\ta\tb\n", "2: 3 tab-separated columns instead of 2"),
    "order": ("index\tsentence\n0\ta\n2\tb\n", "3: index '2' where 1 is due"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_is_not_glue_s_is_refused(fault: str, tmp_path: Path) -> None:
    root, (content, message) = write_glue(tmp_path), FAULTS[fault]
    path = root / "CoLA" / "test.tsv"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError) as error:
        read("CoLA", root, texts=1)
    assert message in str(error.value)
    assert "data.glue_dir" in str(error.value)


HUB = {"hub": {"name": "nyu-mll/glue", "config": "rte"}}


@pytest.mark.parametrize(
    ("config", "source", "expected"),
    [
        (task("RTE", 2), "glue_dir", "RTE"),
        (task(None, 2, **HUB), "hub", "RTE"),
        (task("CoLA", demo="acceptability"), "demo", None),
        (task(None, 2, hub={"name": "me/glue", "config": "rte"}), "hub", None),
        (task(None, 2, hub={"name": "nyu-mll/glue", "config": "ax"}), "hub", None),
    ],
)
def test_a_task_is_glue_s_by_where_its_data_is_from(
    config: TaskConfig, source: str, expected: str | None
) -> None:
    assert glue_task(config, source) == expected


@pytest.mark.parametrize(
    ("folder", "source", "labels", "expected"),
    [
        ("CoLA", "glue_dir", ("unacceptable", "acceptable"), ("0", "1")),
        ("CoLA", "glue_dir", ("1", "0"), ("1", "0")),
        # Names that the files do not have rename their numbers, in whatever order they stand.
        ("CoLA", "glue_dir", ("acceptable", "unacceptable"), ("0", "1")),
        ("CoLA", "hub", ("acceptable", "unacceptable"), ("1", "0")),
        ("CoLA", "hub", ("bad", "good"), ("0", "1")),
        ("WNLI", "hub", ("not_entailment", "entailment"), ("0", "1")),
        ("RTE", "glue_dir", ("entailment", "not_entailment"), ("entailment", "not_entailment")),
        ("RTE", "glue_dir", ("not_entailment", "entailment"), ("not_entailment", "entailment")),
        ("RTE", "hub", ("yes", "no"), ("entailment", "not_entailment")),
        (
            "MNLI",
            "hub",
            ("neutral", "contradiction", "entailment"),
            ("neutral", "contradiction", "entailment"),
        ),
    ],
)
def test_classes_are_written_as_glue_does(
    folder: str, source: str, labels: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    configs = {own.task: own.hub[0] for name, own in ANSWER_FILES.items() if name != "AX"}
    config = task(folder, hub={"name": "nyu-mll/glue", "config": configs[folder]})
    assert answers(config, source, labels) == expected


def fake_hub(monkeypatch: pytest.MonkeyPatch, indices: list[int], split: str = "test") -> None:
    rows = {"a": ["x", "y"], "b": ["u", "v"], "idx": indices, "label": [-1, -1]}
    loaded = {split: Dataset.from_dict(rows)}
    monkeypatch.setattr(glue_test, "load_dataset", lambda *arguments: loaded)


def test_the_hub_s_test_split_is_read_without_its_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub(monkeypatch, [0, 1])
    data = read_test("mine", task(None, 2, **HUB), "hub", None)
    assert data is not None
    assert data.splits["RTE"].texts == [("x", "u"), ("y", "v")]
    assert data.splits["RTE"].labels.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("indices", "split", "message"),
    [([1, 0], "test", "does not count from 0"), ([0, 1], "train", "has no split 'test'")],
)
def test_a_data_set_that_is_not_glue_s_is_refused(
    indices: list[int], split: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_hub(monkeypatch, indices, split)
    with pytest.raises(DataError, match=message):
        read_test("mine", task(None, 2, **HUB), "hub", None)


def test_other_tasks_have_no_test_without_labels() -> None:
    assert read_test("mine", task(None, demo="sentiment"), "demo", None) is None
