"""A user's own files: every format, every kind of label, every fault."""

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.helpers.data_files import ENDINGS, write
from trainables.config.task import TaskConfig
from trainables.data.files import load
from trainables.errors import DataError

ROWS = [("good, very", "pos"), ('a "quoted" word', "neg"), ("two\nlines", "pos"), ("naïve", "neg")]


def task(train: Path, validation: Path | None = None, **changes) -> TaskConfig:
    files = {"train": str(train), "validation": str(validation or train)}
    return TaskConfig.model_validate({"text": ("s",), "files": files} | changes)


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_reads_what_was_written(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"train.{ending}", ["s", "label"], ROWS)
    raw = load("mine", task(path), None)
    assert raw.splits["train"].texts == [(text,) for text, _ in ROWS]
    assert raw.labels == ("neg", "pos")
    assert raw.splits["train"].labels.tolist() == [1, 0, 1, 0]
    quoting = "; quoting: rfc4180" if ending == "tsv" else ""
    assert raw.origin == f"files train.{ending}, train.{ending}{quoting}"


@pytest.mark.parametrize("ending", ENDINGS)
def test_pairs_other_columns_and_a_test_split(tmp_path: Path, ending: str) -> None:
    columns = ["id", "b", "class", "a"]
    train = write(
        tmp_path / f"t.{ending}", columns, [("1", "B1", "x", "A1"), ("2", "B2", "y", "A2")]
    )
    test = write(tmp_path / f"e.{ending}", columns, [("3", "B3", "y", "A3")])
    files = {"train": str(train), "validation": str(train), "test": str(test)}
    config = TaskConfig.model_validate({"text": ("a", "b"), "label": "class", "files": files})
    splits = load("mine", config, None).splits
    assert splits["train"].texts == [("A1", "B1"), ("A2", "B2")]
    assert splits["test"].texts == [("A3", "B3")]
    assert splits["test"].labels.tolist() == [1]


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["", "mark"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_byte_order_mark_line_ends_and_empty_lines(
    tmp_path: Path, ending: str, start: bytes, end: bytes
) -> None:
    path = write(tmp_path / f"t.{ending}", ["s", "label"], [("one", "a"), ("two", "b")])
    lines = path.read_bytes().splitlines()
    path.write_bytes(start + end.join([*lines, b"", b""]))
    raw = load("mine", task(path), None)
    assert raw.splits["train"].texts == [("one",), ("two",)]
    assert raw.labels == ("a", "b")


GOOD = b"s,label\none,a\ntwo,b\n"
GOOD_JSON = b'{"s": "one", "label": "a"}\n{"s": "two", "label": "b"}\n'
FAULTS = {
    "semicolons": ("a.csv", b"s;label\none;a\n", r"a\.csv:1: no column 's'.*commas between"),
    "missing column": ("a.csv", b"text,label\none,a\n", r"a\.csv:1: no column 's'.*mine\.text"),
    "near column": (
        "a.csv",
        b"s,labels\none,a\n",
        r"'label' \(define\.tasks\.mine\.label\); did y",
    ),
    "twice": ("a.csv", b"s,label,s\none,a,b\n", r"a\.csv:1: column 's' occurs twice"),
    "empty file": ("a.csv", b"", r"a\.csv: the file is empty"),
    "empty lines": ("a.jsonl", b"\n\r\n", r"a\.jsonl: the file is empty"),
    "header only": ("a.csv", b"s,label\n", r"a\.csv: the file has no rows"),
    "long row": ("a.csv", GOOD + b"three,b,c\n", r"a\.csv:4: 3 fields, the header has 2"),
    "short row": ("a.csv", GOOD + b'"x\ny",a\nthree\n', r"a\.csv:6: 1 fields, the header has 2"),
    "short tsv": ("a.tsv", b"s\tlabel\none,a\n", r"a\.tsv:2: 1 fields, the header has 2"),
    "open quote": ("a.csv", GOOD + b'"three,b\nfour,a\n', r"a\.csv:4: unexpected end of data"),
    "stray quote": ("a.csv", GOOD + b'"three" x,b\n', r"a\.csv:4: .*must be doubled"),
    "latin 1": ("a.csv", GOOD + b"caf\xe9,a\n", r"a\.csv:4: byte 0xe9 is not UTF-8"),
    "utf-16": ("a.csv", GOOD.decode().encode("utf-16"), r"a\.csv:1: the file is UTF-16"),
    "nul": ("a.csv", GOOD + b"th\0ree,a\n", r"a\.csv:4: NUL byte"),
    "only nul": ("a.tsv", b"\0" * 100, r"a\.tsv:1: NUL byte"),
    "empty text": ("a.csv", GOOD + b'" ",a\n', r"a\.csv:4: the text is empty.*mine\.text"),
    "empty label": ("a.csv", GOOD + b"three,\n", r"a\.csv:4: the label is empty"),
    "old mac": ("a.csv", GOOD.replace(b"\n", b"\r") + b"three\r", r"a\.csv:4: 1 fields"),
    "broken json": ("a.jsonl", GOOD_JSON + b'{"s": "x"\n', r"a\.jsonl:3: broken JSON"),
    "deep json": ("a.jsonl", GOOD_JSON + b"[" * 100_000, r"a\.jsonl:3: broken JSON"),
    "huge number": ("a.jsonl", GOOD_JSON + b"1" * 5000, r"a\.jsonl:3: broken JSON"),
    "list": ("a.jsonl", GOOD_JSON + b"[1]\n", r"a\.jsonl:3: not a JSON object"),
    "pretty json": ("a.jsonl", b'{\n"s": "x"\n}', r"a\.jsonl:1: broken JSON"),
    "json column": ("a.jsonl", GOOD_JSON + b'{"s": "x"}\n', r"a\.jsonl:3: no column 'label'"),
    "json twice": ("a.jsonl", b'{"s": "x", "s": "y", "label": 1}', r"a\.jsonl:1: column 's' occ"),
    "json null": (
        "a.jsonl",
        GOOD_JSON + b'{"s": null, "label": "a"}',
        r"a\.jsonl:3: the text is null",
    ),
    "json nan": (
        "a.jsonl",
        GOOD_JSON + b'{"s": "x", "label": NaN}',
        r"a\.jsonl:3: the label is empty",
    ),
    "json number": (
        "a.jsonl",
        GOOD_JSON + b'{"s": 5, "label": "a"}',
        r"a\.jsonl:3: the text is no text but 5",
    ),
    "json nul": (
        "a.jsonl",
        GOOD_JSON + b'{"s": "a\\u0000", "label": "a"}',
        r"a\.jsonl:3: the text holds a NUL",
    ),
    "surrogate": (
        "a.jsonl",
        GOOD_JSON + b'{"s": "\\ud800", "label": "a"}',
        r"a\.jsonl:3: .*half a surrogate",
    ),
    "label surrogate": (
        "a.jsonl",
        GOOD_JSON + b'{"s": "x", "label": "\\ud800"}',
        r"a\.jsonl:3: the label holds half a surrogate pair",
    ),
    "label list": (
        "a.jsonl",
        GOOD_JSON + b'{"s": "x", "label": [1]}',
        r"a\.jsonl:3: several labels in one cell \(\[1\]\)",
    ),
    "label half": (
        "a.jsonl",
        GOOD_JSON + b'{"s": "x", "label": 0.5}',
        r"a\.jsonl:3: label '0\.5' is a fraction",
    ),
    "not parquet": ("a.parquet", GOOD, r"a\.parquet: not a readable Parquet file"),
    "empty parquet": ("a.parquet", b"", r"a\.parquet: not a readable Parquet file"),
    "ending": ("a.cvs", GOOD, r"a\.cvs: the ending '\.cvs' is unknown .* did you mean '\.csv'"),
    "no ending": ("a", GOOD, r"the ending '' is unknown"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_one_line_that_names_file_and_key(tmp_path: Path, fault: str) -> None:
    name, content, message = FAULTS[fault]
    (tmp_path / name).write_bytes(content)
    (tmp_path / "good.csv").write_bytes(GOOD)
    with pytest.raises(DataError, match=message) as caught:
        load("mine", task(tmp_path / name, tmp_path / "good.csv"), None)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(tmp_path))


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_files_that_cannot_be_opened_name_their_key(tmp_path: Path, split: str) -> None:
    (tmp_path / "good.csv").write_bytes(GOOD)
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    good = str(tmp_path / "good.csv")
    for name, reason in (
        ("none.csv", "no such file"),
        ("none.parquet", "no such file"),
        ("folder.csv", "this is a folder"),
        ("loop.csv", "cannot be read"),
        ("good.csv/x.csv", "cannot be read"),
        ("n\0l.csv", "cannot be read"),
    ):
        files = {"train": good, "validation": good, split: str(tmp_path / name)}
        config = TaskConfig.model_validate({"text": ("s",), "files": files})
        with pytest.raises(DataError, match=rf"{reason}.*define\.tasks\.mine\.files\.{split}"):
            load("mine", config, None)


def test_damaged_and_typed_parquet(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", ["s", "label"], [(f"x{i}" * 9, i % 2) for i in range(999)])
    whole = path.read_bytes()
    for damaged in (whole[:-20], whole[:40] + b"\xff" * 200 + whole[240:], whole[:100]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"t\.parquet: not a readable Parquet file"):
            load("mine", task(path), None)
    write(path, ["s", "label"], [("x", 1), (None, 0)])
    with pytest.raises(DataError, match=r"t\.parquet row 2: the text is null"):
        load("mine", task(path), None)
    write(path, ["s", "label"], [(4, 1), (5, 0)])
    with pytest.raises(DataError, match=r"t\.parquet row 1: the text is no text but 4"):
        load("mine", task(path), None)
    pq.write_table(
        pa.table([pa.array(["x"])] * 2 + [pa.array([0])], names=["s", "s", "label"]), path
    )
    with pytest.raises(DataError, match="column 's' occurs twice"):
        load("mine", task(path), None)


def test_a_huge_field_is_text(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    path = write(tmp_path / "t.csv", ["s", "label"], [("x" * 300_000, "a"), ("y", "b")])
    assert len(load("mine", task(path), None).splits["train"].texts[0][0]) == 300_000
    assert csv.field_size_limit() == limit
