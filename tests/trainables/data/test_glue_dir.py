"""GLUE's folder: the real one where it is, and small ones with every fault."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from trainables.config.task import TaskConfig
from trainables.data.glue_dir import load
from trainables.data.splits import carve
from trainables.errors import DataError

FIELDS = {"CoLA": ("s",), "SST-2": ("s",), "MRPC": ("a", "b")}
MRPC_HEADER = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"


def task(folder: str, **changes) -> TaskConfig:
    return TaskConfig.model_validate({"text": FIELDS[folder], "glue_dir": folder} | changes)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """All three tasks with two rows per file."""
    files = {
        "CoLA/train.tsv": 'x01\t1\t\tShe "left.\nx01\t0\t*\tLeft she.\n',
        "CoLA/dev.tsv": "x01\t1\t\tHe sat.\nx01\t0\t*\tSat he.\n",
        "SST-2/train.tsv": 'sentence\tlabel\na " fine film \t1\ndull \t0\n',
        "SST-2/dev.tsv": "sentence\tlabel\ngood \t1\nbad \t0\n",
        "MRPC/train.tsv": MRPC_HEADER + '1\t1\t2\t"Same" thing.\tThe same.\n0\t3\t4\tOne.\tTwo.\n',
        "MRPC/dev.tsv": MRPC_HEADER + "1\t5\t6\tIt is.\tIt was.\n0\t7\t8\tNo.\tYes.\n",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return tmp_path


@pytest.mark.glue
@pytest.mark.parametrize(
    ("folder", "sizes", "majority"),
    [
        ("CoLA", {"train": 8551, "validation": 1043}, 69.13),
        ("SST-2", {"train": 67349, "validation": 872}, 50.92),
        ("MRPC", {"train": 3668, "validation": 408, "test": 1725}, 68.38),
    ],
)
def test_real_counts(glue_dir: Path, folder: str, sizes: dict[str, int], majority: float) -> None:
    begin = time.process_time()
    raw = load("t", task(folder), str(glue_dir))
    assert time.process_time() - begin < 2, "far slower than the quarter of a second it takes"
    assert {name: len(split) for name, split in raw.splits.items()} == sizes
    positive = raw.splits["validation"].labels.mean()
    assert round(100 * max(positive, 1 - positive), 2) == majority


@pytest.mark.glue
@pytest.mark.parametrize(
    ("folder", "copies", "classes"),
    [("CoLA", 19, [253, 602]), ("SST-2", 371, [2978, 3757]), ("MRPC", 0, [119, 248])],
)
def test_copies_of_a_text_are_carved_together(
    glue_dir: Path, folder: str, copies: int, classes: list[int]
) -> None:
    train = load("t", task(folder), str(glue_dir)).splits["train"]
    rest, selection = carve(train, 0.1)
    assert len(train) - len(set(train.texts)) == copies
    assert not set(rest.texts) & set(selection.texts)
    assert len(rest) + len(selection) == len(train)
    assert np.bincount(selection.labels).tolist() == classes


@pytest.mark.glue
def test_mrpc_from_the_original_files_is_the_official_split(glue_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "MRPC").mkdir()
    for name in ("msr_paraphrase_train.txt", "dev_ids.tsv"):
        shutil.copy(glue_dir / "MRPC" / name, tmp_path / "MRPC" / name)
    made = load("mrpc", task("MRPC"), str(tmp_path)).splits
    official = load("mrpc", task("MRPC"), str(glue_dir)).splits
    assert set(made) == {"train", "validation"}
    for name, split in made.items():
        pairs = zip(split.texts, split.labels.tolist(), strict=True)
        theirs = zip(official[name].texts, official[name].labels.tolist(), strict=True)
        assert sorted(pairs) == sorted(theirs)


def test_quotation_marks_and_the_byte_order_mark(small: Path) -> None:
    assert load("t", task("CoLA"), str(small)).splits["train"].texts[0] == ('She "left.',)
    assert load("t", task("SST-2"), str(small)).splits["train"].texts[0] == ('a " fine film ',)
    mrpc = load("t", task("MRPC"), str(small))
    assert mrpc.splits["train"].texts == [('"Same" thing.', "The same."), ("One.", "Two.")]
    assert mrpc.splits["train"].labels.tolist() == [1, 0]
    assert mrpc.origin == "GLUE folder (official download layout)"
    assert "test" not in mrpc.splits


def test_windows_line_ends_change_nothing(small: Path) -> None:
    before = load("t", task("CoLA"), str(small)).splits["train"].texts
    path = small / "CoLA" / "train.tsv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert load("t", task("CoLA"), str(small)).splits["train"].texts == before


@pytest.mark.parametrize(
    ("folder", "file", "content", "message"),
    [
        ("CoLA", "train.tsv", b"x\t1\t\tfine\nx\t1\tshort\n", r"train\.tsv:2: 3 tab-separated"),
        ("CoLA", "train.tsv", b"x\t2\t\tfine\n", r"train\.tsv:1: label '2' is not 0 or 1"),
        ("CoLA", "dev.tsv", b"x\t-1\t\tfine\n", r"dev\.tsv:1: the label is hidden \(-1\)"),
        ("CoLA", "dev.tsv", b"x\t1\t\tfine\nx\t1\t\t \n", r"dev\.tsv:2: the sentence is empty"),
        ("CoLA", "dev.tsv", b"x\t1\t\tfine\nx\t1\t\tcaf\xe9\n", r"dev\.tsv:2: byte 0xe9"),
        ("CoLA", "dev.tsv", b"x\t1\t\tfi\0ne\n", r"dev\.tsv:1: NUL byte"),
        ("CoLA", "dev.tsv", b"", r"dev\.tsv: the file is empty"),
        ("CoLA", "dev.tsv", "x\t1".encode("utf-16"), r"dev\.tsv:1: the file is UTF-16"),
        ("SST-2", "train.tsv", b"fine film\t1\n", r"train\.tsv:1: the header is not"),
        ("SST-2", "dev.tsv", b"sentence\tlabel\nfine\t1\n\nbad\t0\n", r"dev\.tsv:3: 1 tab-sep"),
        ("MRPC", "train.tsv", MRPC_HEADER.encode() + b"1\t2\t3\tone\n", r"train\.tsv:2: 4 tab-"),
        ("MRPC", "dev.tsv", b"\xef\xbb\xbf\n\xff", r"dev\.tsv:2: byte 0xff"),
    ],
)
def test_faults_name_file_and_line(
    small: Path, folder: str, file: str, content: bytes, message: str
) -> None:
    (small / folder / file).write_bytes(content)
    with pytest.raises(DataError, match=message + r"(.|\n)*data\.glue_dir") as caught:
        load("t", task(folder), str(small))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("folder", FIELDS)
def test_missing_files_and_folders(small: Path, folder: str) -> None:
    (small / folder / "dev.tsv").unlink()
    with pytest.raises(DataError, match=r"dev\.tsv: no such file \(data\.glue_dir\)"):
        load("t", task(folder), str(small))
    (small / folder / "dev.tsv").mkdir()
    with pytest.raises(DataError, match=r"dev\.tsv: this is a folder"):
        load("t", task(folder), str(small))
    shutil.rmtree(small / folder)
    with pytest.raises(DataError, match=f"{folder}: no such folder"):
        load("t", task(folder), str(small))
    with pytest.raises(DataError, match="nowhere: no such folder"):
        load("t", task(folder), str(small / "nowhere"))
    with pytest.raises(DataError, match=r"data\.glue_dir or the environment variable GLUE_DIR"):
        load("t", task(folder), None)


def test_original_mrpc_needs_dev_ids(small: Path) -> None:
    (small / "MRPC" / "train.tsv").rename(small / "MRPC" / "msr_paraphrase_train.txt")
    with pytest.raises(DataError, match=r"dev_ids\.tsv: no such file"):
        load("t", task("MRPC"), str(small))


def test_only_two_labels(small: Path) -> None:
    with pytest.raises(DataError, match=r"define\.tasks\.t\.labels names 3 labels, CoLA has 2"):
        load("t", task("CoLA", labels=("a", "b", "c")), str(small))
