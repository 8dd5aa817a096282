"""Rows with their answers: every pair of formats, order, quoting, bad rows, what is refused."""

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.deploy.bulk import block as blocks
from orchestrator.deploy.bulk.prediction import Request, Summary, predict_rows
from orchestrator.deploy.predictor import Predictor, probabilities
from tests.helpers.fake_predictor import FakePredictor
from trainables.errors import ConfigError, DataError

FORMATS = ("csv", "tsv", "jsonl", "parquet")
TEXTS = [
    "plain",
    'a "quoted" word, and a comma',
    '"begins with a quotation mark',
    "two\nlines",
    "carriage\rreturn and\r\nboth",
    "tab\there",
    "Ünïcödé 你好 🙂\u2028",
    "  spaces around  ",
    "NULL",
    "x" * 3000,
]

Predict = Callable[..., Summary]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks in a small file."""
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 4)
    monkeypatch.setattr("orchestrator.deploy.bulk.inputs.BLOCK_ROWS", 4)


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Rows with the same columns in the format of the ending, by other code than what reads them.

    TSV is quoted.
    """
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            separator = "," if path.suffix == ".csv" else "\t"
            writer = csv.DictWriter(file, list(rows[0]), delimiter=separator)
            writer.writeheader()
            writer.writerows(rows)
    return path


def read(path: Path) -> list[dict[str, Any]]:
    """What a file holds, by other code than what writes it; of CSV and TSV, texts."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    content = path.read_bytes().decode("utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in content.removesuffix("\n").split("\n")]
    separator = "," if path.suffix == ".csv" else "\t"
    return list(csv.DictReader(io.StringIO(content, newline=""), delimiter=separator, strict=True))


def predict(source: Path | str, target: Path | str, **options: Any) -> Summary:
    predictor: Predictor = options.pop("predictor", None) or FakePredictor("tone", "length")
    if str(source).endswith(".tsv"):
        options = {"quoting": "rfc4180"} | options
    return predict_rows(predictor, "fingerprint", Request(str(source), str(target), **options))


def expected(text: str) -> dict[str, Any]:
    logits = FakePredictor("tone", "length").logits([(text,)])
    bad, good = probabilities(logits["tone"]).round(6)[0].tolist()
    label = "good" if good > bad else "bad"
    number = float(len(text))
    return {"tone": label, "tone.bad": bad, "tone.good": good, "length": number, "error": None}


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_every_row_keeps_its_place_and_columns(source: str, target: str, tmp_path: Path) -> None:
    rows = [{"id": f"n{number}", "text": text} for number, text in enumerate(TEXTS)]
    output = tmp_path / f"out.{target}"
    summary = predict(write(tmp_path / f"in.{source}", rows), output)
    whole = [row | expected(row["text"]) for row in rows]
    if target in ("csv", "tsv"):
        whole = [{k: "" if v is None else str(v) for k, v in row.items()} for row in whole]
    assert read(output) == whole
    assert (summary.rows, summary.bad) == (len(rows), 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"in.{source}", f"out.{target}"]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    texts=st.lists(st.text(min_size=1).filter(lambda t: t.strip() and "\0" not in t), min_size=1),
    source=st.sampled_from(FORMATS),
    target=st.sampled_from(FORMATS),
)
def test_any_text_survives(
    texts: list[str], source: str, target: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    rows = [{"text": text} for text in texts]
    predict(write(folder / f"in.{source}", rows), folder / f"out.{target}")
    assert [row["text"] for row in read(folder / f"out.{target}")] == texts


def test_a_column_of_a_parquet_file_keeps_its_type(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": pa.array(["a", "b", None]).dictionary_encode(),
            "when": pa.array([1, None, 3], pa.timestamp("ns")),
            "tags": [["x"], [], None],
            "raw": [b"\xff", b"", None],
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    predict(tmp_path / "in.parquet", tmp_path / "out.parquet")
    written = pq.read_table(tmp_path / "out.parquet")
    assert written.select(table.column_names).equals(table)
    assert written.column("error").to_pylist() == [None, None, "the text is null"]


def test_values_that_are_no_texts_are_json_in_a_table(tmp_path: Path) -> None:
    rows = [{"text": "a", "n": 5, "flag": True, "list": [1, {"é": None}], "none": None, "f": 0.5}]
    predict(write(tmp_path / "in.jsonl", rows), tmp_path / "out.csv")
    [row] = read(tmp_path / "out.csv")
    kept = [row[name] for name in ("n", "flag", "list", "none", "f")]
    assert kept == ["5", "true", '[1, {"é": null}]', "", "0.5"]


def test_what_json_cannot_hold_is_null_or_escaped(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "a", "n": NaN, "half": "\\ud800"}\n')
    predict(tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    [row] = read(tmp_path / "out.jsonl")
    assert (row["n"], row["half"]) == (None, "\ud800")


@pytest.mark.parametrize("target", FORMATS)
def test_a_bad_row_stands_in_the_output_with_its_reason(target: str, tmp_path: Path) -> None:
    lines = [
        '{"text": "a"}',
        "",
        '{"text": 3}',
        "{",
        '{"text": " "}',
        "[1]",
        '{"id": 1}',
        '{"text": "b"}',
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    summary = predict(tmp_path / "in.jsonl", tmp_path / f"out.{target}")
    written = read(tmp_path / f"out.{target}")
    assert [bool(row["tone"]) for row in written] == [True, *[False] * 5, True]
    errors = [row["error"] for row in written]
    assert [error for error in errors if error] == [
        "the text is no text but 3",
        "broken JSON: Expecting property name enclosed in double quotes",
        "the text is empty; remove the row or give it a text",
        "not a JSON object",
        "the text is null",
    ]
    assert (summary.rows, summary.bad) == (7, 5)
    assert summary.reasons[1].startswith(f"{tmp_path / 'in.jsonl'}:4: broken JSON")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"id,text\n1,a\n2\n3,c\n", "1 fields, the header has 2"),
        (b"id,text\n1,a\n2,b,x\n3,c\n", "3 fields, the header has 2"),
        (b"id,text\n1,a\n2,\xe9t\xe9\n3,c\n", "not UTF-8"),
        (b"id,text\n1,a\n2,b\0\n3,c\n", "the text holds a NUL character"),
    ],
)
def test_a_bad_row_of_csv_costs_no_other_row(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(content)
    summary = predict(tmp_path / "in.csv", tmp_path / "out.csv")
    errors = [row["error"] for row in read(tmp_path / "out.csv")]
    assert errors == ["", reason, ""]
    assert summary.reasons == [f"{tmp_path / 'in.csv'}:3: {reason}"]


def test_only_the_first_bad_rows_are_named(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text,x\n" + ",1\n" * 30)
    summary = predict(tmp_path / "in.csv", tmp_path / "out.csv")
    assert (summary.bad, len(summary.reasons)) == (30, 10)


def test_strict_refuses_the_first_bad_row_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text,x\na,1\n,2\n")
    with pytest.raises(DataError, match=r"in\.csv:3: the text is empty.*--strict"):
        predict(tmp_path / "in.csv", tmp_path / "out.csv", strict=True)
    assert not (tmp_path / "out.csv").exists()


def test_batches_are_of_similar_length_and_hold_every_row_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 4096)
    texts = [f"{number:04d}" * (1 + number * 7919 % 50) for number in range(1000)]
    predictor = FakePredictor("tone")
    write(tmp_path / "in.csv", [{"text": text} for text in texts])
    predict(tmp_path / "in.csv", tmp_path / "out.csv", predictor=predictor)
    assert sorted(text for batch in predictor.batches for (text,) in batch) == sorted(texts)
    padded = sum(len(batch) * max(len(text) for (text,) in batch) for batch in predictor.batches)
    assert padded <= 1.2 * sum(map(len, texts))


@pytest.mark.parametrize(
    ("columns", "options", "texts", "tasks"),
    [
        (("text",), {}, ("text",), ("tone", "topic", "length")),
        (("id", "sentence"), {}, ("sentence",), ("tone", "topic", "length")),
        (("sentence1", "sentence2"), {}, ("sentence1", "sentence2"), ("same",)),
        (("premise", "hypothesis", "text"), {}, ("premise", "hypothesis"), ("same",)),
        (("sentence1", "sentence2"), {"tasks": ("tone",)}, ("sentence1",), ("tone",)),
        (("sentence1", "sentence2"), {"tasks": ("same", "tone")},
         ("sentence1", "sentence2"), ("tone", "same")),
        (("a", "b"), {"text": "b"}, ("b",), ("tone", "topic", "length")),
        (("a", "b"), {"text": "b", "text_pair": "a"}, ("b", "a"), ("same",)),
        (("text", "b"), {"text_pair": "b"}, ("text", "b"), ("same",)),
    ],
)  # fmt: skip
def test_columns_say_which_tasks_are_answered(
    columns: tuple[str, ...],
    options: dict[str, Any],
    texts: tuple[str, ...],
    tasks: tuple[str, ...],
    tmp_path: Path,
) -> None:
    source = write(tmp_path / "in.csv", [{column: column for column in columns}])
    summary = predict(source, tmp_path / "out.csv", predictor=FakePredictor(), **options)
    assert (summary.texts, summary.tasks) == (texts, tasks)
    assert {*summary.tasks, *summary.skipped} == set(FakePredictor().tasks)
    [row] = read(tmp_path / "out.csv")
    assert all(row[task] for task in tasks)


def test_a_pair_may_have_one_empty_text(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("sentence1,sentence2\na,\n,b\n,\n")
    predict(tmp_path / "in.csv", tmp_path / "out.csv", predictor=FakePredictor("same"))
    errors = [row["error"] for row in read(tmp_path / "out.csv")]
    assert errors == ["", "", "both texts are empty; remove the row or give it a text"]


def test_columns_can_be_left_out(tmp_path: Path) -> None:
    write(tmp_path / "in.csv", [{"id": "1", "text": "a", "tone": "mine"}])
    with pytest.raises(ConfigError, match="column 'tone' would stand beside an answer"):
        predict(tmp_path / "in.csv", tmp_path / "out.jsonl")
    for target in FORMATS:
        predict(tmp_path / "in.csv", tmp_path / f"out.{target}", keep=("id",))
        [row] = read(tmp_path / f"out.{target}")
        assert [*row] == ["id", "tone", "tone.bad", "tone.good", "length", "error"]


def test_a_key_that_comes_later_is_told_or_kept(tmp_path: Path) -> None:
    rows = [{"text": "a"}] * 5 + [{"text": "b", "new": 1}]
    source = write(tmp_path / "in.jsonl", rows)
    assert predict(source, tmp_path / "out.csv").late == {"new"}
    assert predict(source, tmp_path / "out.jsonl").late == set()
    assert read(tmp_path / "out.jsonl")[-1]["new"] == 1


CSV = "text,x\na,1\n"


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("in.csv", "a,b\n1,2\n", {},
         "no column has a usual name of a text; add --text NAME: it has a, b"),
        ("in.csv", CSV, {"text": "txt"}, "no column 'txt' (--text); did you mean text?"),
        ("in.csv", CSV, {"text_pair": "y"}, "no column 'y' (--text-pair)"),
        ("in.csv", CSV, {"tasks": ("tune",)},
         "--tasks tune: the model has no such task; did you mean tone?"),
        ("in.csv", CSV, {"keep": ("z",)}, "--keep z: is no column"),
        ("in.csv", CSV, {"text": "text", "text_pair": "x"},
         "examples of tone, length have one text"),
        ("in.csv", "text,text\na,b\n", {}, "column 'text' occurs twice"),
        ("in.csv", "", {}, "the file is empty"),
        ("in.jsonl", "\n", {}, "the file has no rows"),
        ("in.csv", 'text,x\n"a" b,1\n', {}, "in.csv:2: ',' expected after '\"'"),
        ("in.csv", 'text,x\na,1\n"b,1\nc,2\n', {}, "in.csv:3: unexpected end of data"),
        ("in.tsv", 'text\tx\na\t1\n"b\t2\n', {"quoting": None},
         "in.tsv:3: a field begins with a quotation mark"),
        ("in.txt", CSV, {}, "its ending does not say its format; add --input-format"),
        ("in.txt", CSV, {"source_format": "cvs"},
         "--input-format cvs: is no format; did you mean csv?"),
        ("in.parquet", CSV, {}, "in.parquet: cannot be read"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_line(
    name: str, content: str, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises((ConfigError, DataError), match=re.escape(message)) as raised:
        predict(tmp_path / name, tmp_path / "out.csv", **options)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out.csv").exists()


def test_a_pair_task_asks_for_the_second_column(tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", [{"text": "a", "x": "b"}])
    with pytest.raises(ConfigError, match=r"--tasks same: has two texts; name .* --text-pair"):
        predict(
            source, tmp_path / "out.csv", text="text", tasks=("same",), predictor=FakePredictor()
        )


def test_a_column_of_numbers_is_no_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": [1]}), tmp_path / "in.parquet")
    with pytest.raises(DataError, match=r"column 'text' \(--text\) holds int64, no texts"):
        predict(tmp_path / "in.parquet", tmp_path / "out.csv")


def test_utf_16_is_named(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes("text\na\n".encode("utf-16"))
    with pytest.raises(DataError, match="UTF-16; save it as UTF-8"):
        predict(tmp_path / "in.csv", tmp_path / "out.csv")


def test_a_byte_order_mark_belongs_to_no_column(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b"\xef\xbb\xbftext\na\n")
    assert predict(tmp_path / "in.csv", tmp_path / "out.csv").rows == 1


def test_the_tsv_of_glue_is_read_without_quoting(tmp_path: Path) -> None:
    (tmp_path / "in.tsv").write_text('text\tx\nhe said "no"\t1\n"yes\t2\n')
    predict(tmp_path / "in.tsv", tmp_path / "out.jsonl", quoting="none")
    assert [row["text"] for row in read(tmp_path / "out.jsonl")] == ['he said "no"', '"yes']


class Streams:
    """Standard input and output with these bytes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
        self.written = io.BytesIO()
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=self.written))


@pytest.mark.parametrize("target", ["csv", "tsv", "jsonl"])
@pytest.mark.parametrize("source", ["csv", "tsv", "jsonl"])
def test_streams_give_what_files_do(
    source: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / f"in.{source}", [{"text": text} for text in TEXTS])
    predict(path, tmp_path / f"out.{target}")
    streams = Streams(monkeypatch, path.read_bytes())
    formats = {"source_format": source, "target_format": target, "quoting": "rfc4180"}
    predict("-", "-", **formats)
    assert streams.written.getvalue() == (tmp_path / f"out.{target}").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source_format": "csv"}, "-: its ending does not say its format; add --output-format"),
        ({"source_format": "csv", "target_format": "parquet"}, "--output -: Parquet cannot"),
        ({"source_format": "parquet", "target_format": "csv"}, "Parquet cannot be read"),
    ],
)
def test_streams_need_a_format_that_flows(
    options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Streams(monkeypatch, b"text\na\n")
    with pytest.raises(ConfigError, match=re.escape(message)):
        predict("-", "-", **options)
