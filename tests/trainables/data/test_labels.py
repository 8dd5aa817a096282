"""Labels of every kind in every source: a class that was named, or what to do about it."""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.helpers.data_files import ENDINGS, TYPED, write
from trainables.config.task import TaskConfig
from trainables.data.files import load as load_files
from trainables.data.hub import load as load_hub
from trainables.data.splits import RawTask
from trainables.errors import DataError

Load = Callable[..., RawTask]

FIRST_ROW = {"csv": ":2", "tsv": ":2", "jsonl": ":1", "parquet": " row 1", "hub": " row 1"}


def load(source: str, folder: Path, train: list, dev: list | None = None, **task: Any) -> RawTask:
    """A task whose train and validation labels are these; ``hub`` is a folder of JSON lines."""
    splits = {"train": train, "dev": train if dev is None else dev} | task.pop("more", {})
    ending = "jsonl" if source == "hub" else source
    for split, labels in splits.items():
        rows = [(f"{split} {i}", label) for i, label in enumerate(labels)]
        write(folder / f"{split}.{ending}", ["s", "label"], rows)
    if source == "hub":
        files = "".join(f"  - {{split: {s}, path: {s}.jsonl}}\n" for s in splits)
        (folder / "README.md").write_text(
            f"---\nconfigs:\n- config_name: one\n  data_files:\n{files}---\n"
        )
        hub = {"name": str(folder), "validation": "dev"}
        hub |= {"test": "test"} if "test" in splits else {}
        return load_hub("mine", TaskConfig.model_validate({"text": ["s"], "hub": hub} | task), None)
    # As the writer quotes.
    task |= {"quoting": "rfc4180"} if source == "tsv" else {}
    files = {"train": "train", "validation": "dev"} | ({"test": "test"} if "test" in splits else {})
    paths = {split: str(folder / f"{name}.{ending}") for split, name in files.items()}
    return load_files(
        "mine", TaskConfig.model_validate({"text": ["s"], "files": paths} | task), None
    )


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))

# Training labels, validation labels, `labels`, class names, numbers of the training labels.
ACCEPTED = {
    "numbers": ([0, 2, 1], None, None, "0 1 2", [0, 2, 1]),
    "numbers into listed names": ([0, 1, 0], None, ["neg", "pos"], "neg pos", [0, 1, 0]),
    "whole fractions": (["1.0", "0.0", "1."], ["0", "01"], None, "0 1", [1, 0, 1]),
    "spelled in two ways": (["1", "1.0", "0", "x"], ["0.0"], None, "0 1 x", [1, 1, 0, 2]),
    "listed names": (["pos", "neg", "pos"], None, ["pos", "neg"], "pos neg", [0, 1, 0]),
    "names, then numbers": (["b", "a"], [0, 1], ["b", "a"], "b a", [0, 1]),
    "numbers, then names": ([0, 1], ["b", "a"], ["b", "a"], "b a", [0, 1]),
    "listed numbers from 1": ([1, 2, 3], None, ["1", "2", "3"], "1 2 3", [0, 1, 2]),
    "listed as YAML numbers": ([1, 2, 3], None, [1, 2, 3], "1 2 3", [0, 1, 2]),
    "listed backwards": ([1, 0, 1], None, ["1", "0"], "1 0", [0, 1, 0]),
    "listed with -1": ([-1, 0, 1], [-1.0], ["-1", "0", "1"], "-1 0 1", [0, 1, 2]),
    "listed fractions": (["0.5", "1"], None, [0.5, 1.0], "0.5 1.0", [0, 1]),
    "listed versions": (["1.1", "1.10"], None, ["1.10", "1.1"], "1.10 1.1", [1, 0]),
    "listed 1 and 1.0": (["1", "1.0"], None, ["1.0", "1"], "1.0 1", [1, 0]),
    "listed list": (["[1, 2]", "a|b"], None, ["a|b", "[1, 2]"], ("a|b", "[1, 2]"), [1, 0]),
    "listed nan": (["nan", "deu"], None, ["deu", "nan"], "deu nan", [1, 0]),
    "names and numbers": (["10", "9", "x"], None, None, "10 9 x", [0, 1, 2]),
    "identifiers": (["1234567890", "77"], None, None, "1234567890 77", [0, 1]),
    "letters and spaces": ([" a b ", "a b", "c"], None, None, ("a b", "c"), [0, 0, 1]),
    "composed letters": ([NFC, NFD, "x"], [NFD], None, f"{NFC} x", [0, 0, 1]),
    "listed letters": ([NFC, "x"], None, ["x", NFD], f"x {NFC}", [1, 0]),
    "words": (["not a", "not", "a"], None, None, ("a", "not", "not a"), [2, 1, 0]),
    "ends in a separator": (["a;", "a", "|"], None, None, "a a; |", [1, 0, 2]),
    "one name that has bars": (["a|b", "a|c"], None, None, "a|b a|c", [0, 1]),
    "paths": (["a/b", "a/c", "c"], None, None, "a/b a/c c", [0, 1, 2]),
    "brackets": (["[other]", "x"], None, None, "[other] x", [0, 1]),
}


@pytest.mark.parametrize("case", ACCEPTED)
@pytest.mark.parametrize("source", ENDINGS)
def test_labels_that_say_what_they_are(source: str, case: str, tmp_path: Path) -> None:
    train, dev, labels, names, numbers = ACCEPTED[case]
    if source == "parquet" and len({type(value) for value in [*train, *(dev or [])]}) > 1:
        dev = None
    raw = load(source, tmp_path, train, dev, labels=labels)
    assert raw.labels == (names if isinstance(names, tuple) else tuple(names.split()))
    assert raw.splits["train"].labels.tolist() == numbers


TYPED_ACCEPTED = {
    "booleans": ([True, False], ["true"], None, "false true", [1, 0]),
    "listed booleans": ([True, False], None, ["True", "False"], "True False", [0, 1]),
    "floats": ([1.0, 0.0], ["1"], None, "0 1", [1, 0]),
    "floats into names": ([1.0, 0.0], ["b"], ["b", "a"], "b a", [1, 0]),
    "listed fractions": ([0.5, 1.5], None, ["0.5", "1.5"], "0.5 1.5", [0, 1]),
}


@pytest.mark.parametrize("case", TYPED_ACCEPTED)
@pytest.mark.parametrize("source", TYPED)
def test_typed_values_are_the_labels_that_they_stand_for(
    source: str, case: str, tmp_path: Path
) -> None:
    train, dev, labels, names, numbers = TYPED_ACCEPTED[case]
    raw = load(source, tmp_path, train, dev, labels=labels)
    assert raw.labels == tuple(names.split())
    assert raw.splits["train"].labels.tolist() == numbers


KEY = r"define\.tasks\.mine\.labels"

# Training labels, validation labels, `labels`, file and offset of the row, what is said of it.
REFUSED = {
    "names, then numbers": (
        ["b", "a"],
        ["1", "0"],
        None,
        ("dev", rf"label '1' is a number and the labels in train are names.* in {KEY}"),
    ),
    "numbers, then names": (
        ["1", "0"],
        ["b", "a"],
        None,
        ("dev", rf"label 'b' is a name and the labels in train are numbers.* in {KEY}"),
    ),
    "unknown name": (
        ["spam", "ham"],
        ["spma"],
        None,
        ("dev", "label 'spma' is none of the labels in train; did you mean 'spam'"),
    ),
    "not listed": (
        ["spma", "ham"],
        None,
        ["spam", "ham"],
        ("train", f"label 'spma' is none of {KEY}; did you mean 'spam'"),
    ),
    "another number": (
        ["0", "1"],
        ["2"],
        None,
        ("dev", "label '2' is none of the labels in train"),
    ),
    "number too high": (
        ["3", "0"],
        None,
        ["a", "b", "c"],
        ("train", f"label '3' is none of {KEY}; numbers count from 0 to 2"),
    ),
    "listed numbers": (["0", "1"], None, ["1", "2"], ("train", f"label '0' is none of {KEY}")),
    "from 1 to K": (
        ["2", "1", "3"],
        None,
        ["a", "b", "c"],
        ("train", rf'numbers 1, 2, 3: they count from 0 into {KEY}.*labels=\["1", "2", "3"\]'),
    ),
    "from 1, without the last": (
        ["1", "2"],
        None,
        ["a", "b", "c"],
        ("train", r'numbers 1, 2: .*0 never occurs.*labels=\["1", "2", "3"\]'),
    ),
    "from 1 in another file": (
        ["a", "b"],
        ["1.0", "2.0"],
        ["a", "b"],
        ("dev", r'numbers 1, 2: .*0 never occurs.*labels=\["1", "2"\]'),
    ),
    "from 1 without names": (
        ["1", "2.0"],
        None,
        None,
        ("train", r'labels are 1, 2; number them from 0.*labels=\["1", "2"\]'),
    ),
    "with a gap": (
        ["1", "2", "5"],
        None,
        None,
        ("train", r"labels are 1, 2, 5; number them from 0 without gaps"),
    ),
    "fractions": (["0.5", "1.0"], None, None, ("train", r"label '0\.5' is a fraction")),
    "comma": (["0,5", "1"], None, None, ("train", "label '0,5' is a fraction")),
    "later fraction": (["0", "1"], ["0.5"], None, ("dev", r"label '0\.5' is a fraction")),
    "listed, fraction": (["0.5", "a"], None, ["a", "b"], ("train", r"'0\.5' is a fraction")),
    "versions": (["1.1", "x"], None, ["x", "1.10"], ("train", r"'1\.1' is a fraction")),
    "bar": (["a|b", "a", "b"], None, None, ("train", r"several labels in one cell \('a\|b'\)")),
    "semicolon": (["a; b", "a", "b"], None, None, ("train", "several labels in one cell")),
    "numbers with comma": (["0,1", "0", "1"], None, None, ("train", "several labels in one cell")),
    "numbers with space": (["0 1", "0", "1"], None, None, ("train", "several labels in one cell")),
    "listed parts": (["a+b", "a"], None, ["a", "b"], ("train", "several labels in one cell")),
    "later parts": (["a", "b"], ["a/b"], None, ("dev", "several labels in one cell")),
    "lines": (["a\nb", "a", "b"], None, None, ("train", "several labels in one cell")),
    "never alone": (["a|b", "b|c"], None, None, ("train", r"several labels in one cell \('a\|b'")),
    "one alone": (["a;b", "c", "b"], None, None, ("train", r"several labels in one cell")),
    "names and their numbers": (
        ["2", "neu", "neg", "pos", "0"],
        None,
        None,
        (
            "train",
            f"label '2' is a number and other labels in train are names .neg, neu, pos.*{KEY}",
        ),
    ),
    "small fractions": (["1e-05", "0"], None, None, ("train", "label '1e-05' is a fraction")),
    "read by YAML": (["1:30", "2:30"], None, [90, 150], ("train", "YAML.*reads.*1:30 as 90")),
    "a mark for hidden": (
        ["a", "b"],
        ["?", "?"],
        None,
        (
            "dev",
            "label '[?]' is none of the labels in train.*if the labels are hidden, name a split",
        ),
    ),
    "JSON list": (['["a", "b"]', "a"], None, None, ("train", "several labels in one cell")),
    "Python list": (["['a']", "a"], None, None, ("train", "several labels in one cell")),
    "array": (["[0 1 0]", "[1 0 0]"], None, None, ("train", "several labels in one cell")),
    "hidden in train": (
        ["-1", "0", "1"],
        None,
        None,
        ("train", rf"label -1 marks a hidden label.*files\.train, or list all classes in {KEY}"),
    ),
    "hidden in listed train": (
        ["-1", "a", "b"],
        None,
        ["a", "b"],
        ("train", rf"label is hidden \(-1\).*unlabelled=skip.*class, list it in {KEY}"),
    ),
    "hidden in validation": (
        ["0", "1"],
        ["-1"],
        None,
        ("dev", r"label is hidden \(-1\), and so are all.*files\.validation=\{fraction: 0\.2\}"),
    ),
    "missing": (["nan", "a", "b"], None, None, ("train", r"missing \(nan\).*unlabelled=skip")),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("source", ENDINGS)
def test_a_label_that_would_have_to_be_guessed(source: str, case: str, tmp_path: Path) -> None:
    train, dev, labels, (file, message) = REFUSED[case]
    expected = rf"{file}\.{source}{FIRST_ROW[source]}: .*{message}"
    with pytest.raises(DataError, match=expected) as caught:
        load(source, tmp_path, train, dev, labels=labels)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


TYPED_REFUSED = {
    "list": ([["a"], ["b"]], None, "several labels in one cell"),
    "object": ([{"a": 1}, {"a": 0}], None, "several labels in one cell"),
    "fraction": ([0.5, 1.0], None, r"label '0\.5' is a fraction"),
    "boolean and numbers": ([True, False], ["neg", "pos"], f"label 'true' is none of {KEY}"),
    "which of two": ([1, 0], ["1", "1.0"], f"label '1' is none of {KEY}"),
    "hidden": ([-1, 0, 1], None, "label -1 marks a hidden label"),
    "null": ([None, "a", "b"], None, "label is empty; every row needs one.*unlabelled=skip"),
}


@pytest.mark.parametrize("case", TYPED_REFUSED)
@pytest.mark.parametrize("source", [*TYPED, "hub"])
def test_a_typed_value_that_is_no_label(
    source: str, case: str, tmp_path: Path, hub_cache: None
) -> None:
    train, labels, message = TYPED_REFUSED[case]
    file = f"{tmp_path.name} train" if source == "hub" else rf"train\.{source}"
    with pytest.raises(DataError, match=rf"{file}{FIRST_ROW[source]}: .*{message}"):
        load(source, tmp_path, train, None, labels=labels)


@pytest.mark.parametrize("hidden", [-1, "-1", "", "NULL"])
@pytest.mark.parametrize("source", [*ENDINGS, "hub"])
def test_hidden_test_labels_are_to_be_left_out(
    source: str, hidden: int | str, tmp_path: Path, hub_cache: None
) -> None:
    key = "hub" if source == "hub" else "files"
    pattern = (
        rf"test.*: the label is .* all of this split; leave define\.tasks\.mine\.{key}\.test out"
    )
    # A Hub data set has one type for all splits.
    train = [0, 1] if source == "hub" and isinstance(hidden, int) else ["0", "1"]
    with pytest.raises(DataError, match=pattern):
        load(source, tmp_path, train, None, more={"test": [hidden] * 2})


EMPTY = {"csv": "", "tsv": " ", "jsonl": None, "parquet": None, "hub": None}


@pytest.mark.parametrize("source", [*ENDINGS, "hub"])
def test_rows_without_a_label_can_be_left_out(source: str, tmp_path: Path, hub_cache: None) -> None:
    empty = EMPTY[source]
    train, dev = ["a", empty, "b", empty, "nan", "a"], [empty, "b", "-1"]
    with pytest.raises(DataError, match="label is empty; every row needs one"):
        load(source, tmp_path, train, dev)
    raw = load(source, tmp_path, train, dev, unlabelled="skip")
    assert raw.labels == ("a", "b")
    assert raw.splits["train"].texts == [("train 0",), ("train 2",), ("train 5",)]
    assert raw.splits["train"].labels.tolist() == [0, 1, 0]
    assert raw.splits["validation"].texts == [("dev 1",)]
    assert raw.origin.endswith("; rows without a label left out: 3 of train, 2 of validation")


def test_jsonl_rows_without_the_label_column_can_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    rows = [{"s": "one", "x": 1}, {"s": "two", "y": "a"}, {"s": "", "x": 1}, {"s": "3", "y": "b"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = {"text": ["s"], "files": {"train": str(path), "validation": str(path)}}

    def read(label: str) -> RawTask:
        settings = {"label": label, "unlabelled": "skip"}
        return load_files("mine", TaskConfig.model_validate(config | settings), None)

    # The empty text belongs to another task's row.
    assert read("y").splits["train"].texts == [("two",), ("3",)]
    with pytest.raises(DataError, match=r"t\.jsonl:1: the label is empty, and so are all"):
        read("z")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([True, False], "in quotation marks"),
        (["a", None], "in quotation marks"),
        (["a", float("nan")], "in quotation marks"),
        (["a", " a"], "labels repeats a name"),
        ([NFC, NFD], "labels repeats a name"),
        (["a", " "], "labels has an empty name"),
    ],
)
def test_listed_names_that_are_none(labels: list, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TaskConfig.model_validate({"text": ["s"], "demo": "sentiment", "labels": labels})
