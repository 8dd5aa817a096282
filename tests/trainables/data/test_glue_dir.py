"""GLUE's folder: the real one where it is, and small ones with every fault."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from orchestrator.config.experiment import load_experiment
from trainables.config.task import TaskConfig
from trainables.data.glue_dir import load
from trainables.data.splits import RawTask, carve
from trainables.errors import DataError

FIELDS = {"CoLA": ("s",), "SST-2": ("s",)} | dict.fromkeys(
    ("MRPC", "STS-B", "QQP", "MNLI", "QNLI", "RTE", "WNLI"), ("a", "b")
)
MRPC_HEADER = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"


QQP_HEADER = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
MNLI_HEADER = (
    "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\t"
    "sentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1\t"
)
MNLI_DEV_HEADER = MNLI_HEADER + "label2\tlabel3\tlabel4\tlabel5\tgold_label\n"
PARSES = "( ( He ) sat )\t( ( It ) lay )\t(ROOT (S (NP)))\t(ROOT (S (VP)))"
STSB_HEADER = (
    "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
)
STSB_ROW = "0\tmain-captions\tMSRvid\t2012test\t0001\tnone\tnone\t"
PAIR_HEADER = "index\tsentence1\tsentence2\tlabel\n"


def mnli_dev(genre: str, label: str) -> str:
    """A row of MNLI's dev files: five annotators' labels, then the gold label."""
    votes = f"{label}\tneutral\t{label}\t\t{label}\t{label}"
    return f'0\t63735\t63735n\t{genre}\t{PARSES}\tHe "sat.\tIt lay.\t{votes}\n'


def task(folder: str, **changes) -> TaskConfig:
    kind = "regression" if folder == "STS-B" else "classification"
    values = {"text": FIELDS[folder], "glue_dir": folder, "kind": kind}
    return TaskConfig.model_validate(values | changes)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The official layout of all tasks, with few rows per file."""
    files = {
        "CoLA/train.tsv": 'x01\t1\t\tShe "left.\nx01\t0\t*\tLeft she.\n',
        "CoLA/dev.tsv": "x01\t1\t\tHe sat.\nx01\t0\t*\tSat he.\n",
        "SST-2/train.tsv": 'sentence\tlabel\na " fine film \t1\ndull \t0\n',
        "SST-2/dev.tsv": "sentence\tlabel\ngood \t1\nbad \t0\n",
        "MRPC/train.tsv": MRPC_HEADER + '1\t1\t2\t"Same" thing.\tThe same.\n0\t3\t4\tOne.\tTwo.\n',
        "MRPC/dev.tsv": MRPC_HEADER + "1\t5\t6\tIt is.\tIt was.\n0\t7\t8\tNo.\tYes.\n",
        # The second question of row 12 holds a line end, so that neither of its lines is whole.
        "QQP/train.tsv": QQP_HEADER
        + '10\t1\t2\tWhat is "it"?\tWhat is that?\t1\n11\t3\t4\tWho?\t\t0\n'
        + "12\t5\t6\tHow do I\tHow do\nI?\t0\n13\t7\t8\tWhen?\tWhere?\t\n",
        "QQP/dev.tsv": QQP_HEADER + "14\t1\t2\tA?\tB?\t0\n15\t1\t2\tC?\tC??\t1\n",
        "MNLI/train.tsv": MNLI_HEADER
        + "gold_label\n"
        + "".join(
            f"{i}\t31193\t31193n\tgovernment\t{PARSES}\tHe sat {i}.\tIt lay.\t{label}\t{label}\n"
            for i, label in enumerate(("neutral", "entailment", "contradiction"))
        ),
        "MNLI/dev_matched.tsv": MNLI_DEV_HEADER
        + mnli_dev("slate", "neutral")
        + mnli_dev("slate", "contradiction"),
        "MNLI/dev_mismatched.tsv": MNLI_DEV_HEADER + mnli_dev("letters", "entailment"),
        "STS-B/train.tsv": STSB_HEADER
        + f"{STSB_ROW}A plane.\tA plane.\t5.000\n"
        + f'{STSB_ROW}A "man" sat.\tHe sat.\t3.800\n{STSB_ROW}A cat.\tRain.\t0.000\n',
        "STS-B/dev.tsv": STSB_HEADER + f"{STSB_ROW}Three men.\tTwo men.\t2.600\n",
        "QNLI/train.tsv": "index\tquestion\tsentence\tlabel\n"
        + '0\tWhen "did it begin?\tIt did.\tnot_entailment\n1\tWho?\tHe.\tentailment\n',
        "QNLI/dev.tsv": "index\tquestion\tsentence\tlabel\n0\tWhere?\tHere.\tentailment\n",
        "RTE/train.tsv": PAIR_HEADER
        + "0\tNo weapons.\tWeapons.\tnot_entailment\n1\tA cat.\tAn animal.\tentailment\n",
        "RTE/dev.tsv": PAIR_HEADER + "0\tDana died.\tHe is dead.\tentailment\n",
        "WNLI/train.tsv": PAIR_HEADER + "0\tI stuck a pin.\tThe pin.\t1\n1\tHe ran.\tHe sat.\t0\n",
        "WNLI/dev.tsv": PAIR_HEADER + "0\tThe drain is clogged.\tIt is.\t1\n",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return tmp_path


def official(name: str, folder: Path) -> RawTask:
    """A task of the catalogue, from a GLUE folder."""
    config = load_experiment("demo", [f"tasks=[{name}]"]).task_configs()[name]
    return load(name, config, str(folder))


@pytest.mark.parametrize(
    ("name", "labels", "train", "validation"),
    [
        ("cola", ("unacceptable", "acceptable"), [1, 0], [1, 0]),
        ("sst2", ("negative", "positive"), [1, 0], [1, 0]),
        ("mrpc", ("not_equivalent", "equivalent"), [1, 0], [1, 0]),
        ("qqp", ("not_duplicate", "duplicate"), [1, 0], [0, 1]),
        ("mnli", ("entailment", "neutral", "contradiction"), [1, 0, 2], [1, 2]),
        ("qnli", ("entailment", "not_entailment"), [1, 0], [0]),
        ("rte", ("entailment", "not_entailment"), [1, 0], [0]),
        ("wnli", ("not_entailment", "entailment"), [1, 0], [1]),
    ],
)
def test_every_task_of_the_catalogue_in_its_official_layout(
    small: Path, name: str, labels: tuple[str, ...], train: list[int], validation: list[int]
) -> None:
    raw = official(name, small)
    assert raw.labels == labels
    assert raw.splits["train"].labels.tolist() == train
    assert raw.splits["validation"].labels.tolist() == validation


def test_the_scores_of_stsb(small: Path) -> None:
    raw = official("stsb", small)
    assert raw.labels == ()
    assert raw.splits["train"].labels.tolist() == [5.0, 3.8, 0.0]
    assert raw.splits["train"].texts[1] == ('A "man" sat.', "He sat.")
    assert raw.splits["validation"].labels.tolist() == [2.6]


def test_the_texts_of_pairs(small: Path) -> None:
    assert official("mnli", small).splits["train"].texts[0] == ("He sat 0.", "It lay.")
    assert official("mnli", small).splits["validation"].texts[0] == ('He "sat.', "It lay.")
    assert official("qnli", small).splits["train"].texts[0] == ('When "did it begin?', "It did.")
    assert official("rte", small).splits["validation"].texts == [("Dana died.", "He is dead.")]
    assert official("wnli", small).splits["train"].texts[1] == ("He ran.", "He sat.")


def test_mnli_has_a_second_validation_split(small: Path) -> None:
    mismatched = official("mnli", small).splits["mismatched"]
    assert mismatched.labels.tolist() == [0]
    assert "mismatched" not in official("rte", small).splits
    (small / "MNLI" / "dev_mismatched.tsv").unlink()
    with pytest.raises(DataError, match=r"dev_mismatched\.tsv: no such file"):
        official("mnli", small)


def test_cut_rows_of_qqp_are_counted(small: Path) -> None:
    """As the loaders of datasets and transformers leave them out; an empty question is none."""
    raw = official("qqp", small)
    assert raw.splits["train"].texts == [('What is "it"?', "What is that?"), ("Who?", "")]
    assert raw.origin.endswith("; 3 cut rows of train.tsv left out")
    assert "dev.tsv" not in raw.origin


@pytest.mark.parametrize("labels", [("not_entailment", "entailment"), ("nein", "ja")])
def test_the_files_own_label_names_may_be_listed_in_another_order(
    small: Path, labels: tuple[str, ...]
) -> None:
    raw = load("t", task("RTE", labels=labels), str(small))
    named = [raw.labels[number] for number in raw.splits["train"].labels]
    assert named == (["not_entailment", "entailment"] if "ja" not in labels else ["ja", "nein"])


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


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
def test_windows_line_ends_and_empty_last_lines_change_nothing(small: Path, end: bytes) -> None:
    before = load("t", task("CoLA"), str(small)).splits["train"].texts
    path = small / "CoLA" / "train.tsv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + end)
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
        (
            "RTE",
            "dev.tsv",
            PAIR_HEADER.encode() + b"0\ta\tb\tmaybe\n",
            r"dev\.tsv:2: label 'maybe'",
        ),
        (
            "STS-B",
            "train.tsv",
            (STSB_HEADER + f"{STSB_ROW}a\tb\t5.2\n").encode(),
            r"train\.tsv:2: label '5\.2' is no score from 0 to 5",
        ),
        (
            "STS-B",
            "dev.tsv",
            (STSB_HEADER + f"{STSB_ROW}a\tb\thigh\n").encode(),
            r"dev\.tsv:2: label 'high' is no score",
        ),
        ("RTE", "train.tsv", b"index\tsentence1\tlabel\n", r"it has 0 columns 'sentence2'"),
        ("QNLI", "dev.tsv", b"index\tquestion\tsentence\tlabel\n0\ta\tb\n", r"dev\.tsv:2: 3 tab"),
        ("QQP", "dev.tsv", QQP_HEADER.encode() + b"0\t1\t2\ta\tb\t1\t0\n", r"dev\.tsv:2: 7 tab"),
        ("QQP", "dev.tsv", QQP_HEADER.encode() + b"0\t1\t2\t\t \t1\n", r"both sentences are empty"),
        (
            "MNLI",
            "dev_matched.tsv",
            MNLI_DEV_HEADER.encode() + mnli_dev("slate", "-").encode(),
            r"dev_matched\.tsv:2: label '-' is not entailment, neutral or contradiction",
        ),
    ],
)
def test_faults_name_file_and_line(
    small: Path, folder: str, file: str, content: bytes, message: str
) -> None:
    (small / folder / file).write_bytes(content)
    with pytest.raises(DataError, match=message + r"(.|\n)*data\.glue_dir") as caught:
        load("t", task(folder), str(small))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("folder", [folder for folder in FIELDS if folder != "MNLI"])
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
