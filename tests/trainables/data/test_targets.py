"""The numbers that a regression predicts, from every format, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from trainables.config.task import TaskConfig
from trainables.data.files import load
from trainables.errors import DataError

GOOD = [0, 2.5, 3.75, -1, 1e3]


def written(folder: Path, ending: str, values: list[Any]) -> dict[str, str]:
    """Both splits with these labels."""
    files = {}
    for split in ("train", "validation"):
        path = folder / f"{split}{ending}"
        rows = [{"s": f"text {i}", "label": value} for i, value in enumerate(values)]
        if ending == ".parquet":
            pq.write_table(pa.table({key: [row[key] for row in rows] for key in rows[0]}), path)
        elif ending == ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            separator = "," if ending == ".csv" else "\t"
            lines = [separator.join(map(str, row.values())) for row in rows]
            path.write_text("\n".join([f"s{separator}label", *lines]) + "\n")
        files[split] = str(path)
    return files


def task(files: dict[str, str], **changes: Any) -> TaskConfig:
    values = {"text": ("s",), "kind": "regression", "files": files}
    return TaskConfig.model_validate(values | changes)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_format(tmp_path: Path, ending: str) -> None:
    values = [float(value) for value in GOOD] if ending == ".parquet" else GOOD
    raw = load("t", task(written(tmp_path, ending, values)), None)
    assert raw.labels == ()
    assert raw.splits["train"].labels.dtype == float
    assert raw.splits["train"].labels.tolist() == GOOD


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("high", "label 'high' is no number"),
        ("3;5", "label '3;5' is no number"),
        ("inf", "label 'inf' is no number"),
        ("1_000", "label '1_000' is no number"),
        ("", "the label is missing"),
        ("nan", "the label is missing"),
    ],
)
def test_what_is_no_number_is_refused_with_file_and_line(
    tmp_path: Path, value: str, reason: str
) -> None:
    with pytest.raises(DataError, match=rf"train\.csv:3: {reason}.*define\.tasks\.t\."):
        load("t", task(written(tmp_path, ".csv", [1.5, value])), None)


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_split_of_hidden_labels(tmp_path: Path, split: str, ending: str) -> None:
    files = written(tmp_path, ending, [0.5, 2.0, 5.0])
    (tmp_path / "hidden").mkdir()
    files |= {split: written(tmp_path / "hidden", ending, [-1.0, -1.0, -1.0])["train"]}
    with pytest.raises(DataError, match=rf"hidden \(-1\).*define\.tasks\.t\.files\.{split}"):
        load("t", task(files), None)
    files |= {"train": written(tmp_path, ending, [-2.0, 2.0, -1.0])["train"]}
    assert load("t", task(files), None).splits[split].labels.tolist() == [-1, -1, -1]


def test_a_decimal_comma_a_truth_value_and_a_huge_number(tmp_path: Path) -> None:
    for value, reason in (("3,5", "with a decimal point"), (True, "True is no number")):
        with pytest.raises(DataError, match=reason):
            load("t", task(written(tmp_path, ".jsonl", [1.5, value])), None)
    with pytest.raises(DataError, match="is no number"):
        load("t", task(written(tmp_path, ".jsonl", [1.5, 10**400])), None)


def test_rows_without_a_number_can_be_left_out(tmp_path: Path) -> None:
    files = written(tmp_path, ".csv", [1.5, "", 2])
    raw = load("t", task(files, unlabelled="skip"), None)
    assert raw.splits["train"].labels.tolist() == [1.5, 2.0]
    assert raw.splits["train"].texts == [("text 0",), ("text 2",)]
    assert "rows without a label left out: 1 of train, 1 of validation" in raw.origin


def test_scores_of_a_classification_name_the_kind(tmp_path: Path) -> None:
    files = written(tmp_path, ".csv", [0.5, 1.5])
    with pytest.raises(DataError, match=r"define\.tasks\.t\.kind=regression"):
        load("t", TaskConfig.model_validate({"text": ("s",), "files": files}), None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"headline": "f1"}, "headline=f1 does not go with kind=regression, which has pearson"),
        ({"kind": "classification", "headline": "pearson"}, "does not go with kind=classif"),
        ({"labels": ("a", "b")}, "labels is about classes"),
        ({"positive": "a"}, "positive is about classes"),
        ({"demo": "sentiment"}, "the demo corpora have classes"),
        ({"glue_dir": "RTE"}, "glue_dir=RTE needs kind=classification"),
        ({"kind": "classification", "glue_dir": "STS-B"}, "glue_dir=STS-B needs kind=regression"),
    ],
)
def test_what_does_not_go_with_the_kind(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        task({"train": "a.csv", "validation": "b.csv"}, **changes)


def test_the_headline_follows_the_kind() -> None:
    files = {"train": "a.csv", "validation": "b.csv"}
    assert task(files).headline == "pearson"
    assert task(files, headline="spearman").headline == "spearman"
    assert task(files, kind="classification").headline == "accuracy"
