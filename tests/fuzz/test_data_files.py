"""A user's own files and GLUE's, of any content: read exactly, or one line about what is wrong."""

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

from tests.helpers.fuzz_campaign import Campaign, accepted
from tests.helpers.fuzz_damage import REPLACED, VALUES, damaged, replace
from trainables.config.task import TaskConfig
from trainables.config.trial import LimitsConfig
from trainables.data.files import load as load_files
from trainables.data.profile import profile
from trainables.data.sources import load_task, prepare_task
from trainables.data.splits import check
from trainables.data.task import TaskData

ENDINGS = ("csv", "tsv", "jsonl", "parquet")
ROWS = [
    ("good, very\t much", "pos"),
    ('a "quoted" word', "neg"),
    ("two\nlines", "pos"),
    ("naïve \u2028 \x85 \x1c text", "neg"),
    ("x" * 300, "neg"),
    ("7", "pos"),
]


def written(ending: str, columns: list[str], rows: list[tuple[Any, ...]]) -> bytes:
    """The rows in one of the formats."""
    if ending in ("csv", "tsv"):
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter="," if ending == "csv" else "\t")
        writer.writerows([columns, *rows])
        return text.getvalue().encode()
    if ending == "jsonl":
        return "".join(
            json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows
        ).encode()
    sink = io.BytesIO()
    arrays = [pa.array(column) for column in zip(*rows, strict=True)]
    pq.write_table(pa.table(arrays, names=columns), sink)
    return sink.getvalue()


def read(path: Path, **settings: Any) -> TaskData:
    """A task whose two splits are the file."""
    files = {"train": str(path), "validation": str(path)}
    task = TaskConfig.model_validate({"text": ("s",), "files": files} | settings)
    # Without the check that the splits are different ones.
    raw = load_files("mine", task, None)
    check("mine", raw, 1)
    profile(raw)
    return prepare_task("mine", task, raw, limits=LimitsConfig(), selection_fraction=0.3)


@pytest.mark.parametrize("ending", ENDINGS)
def test_any_damage_of_a_data_file_is_data_or_a_clear_error(
    campaign: Campaign, ending: str, tmp_path: Path
) -> None:
    whole = written(ending, ["s", "other", "label"], [(text, "o", label) for text, label in ROWS])
    path = tmp_path / f"t.{ending}"

    def body(random: Random) -> bool:
        path.write_bytes(damaged(random, whole))
        return accepted(lambda: read(path))

    campaign.draw(f"data: {ending}", 500, body)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.sampled_from(["a", "b", "0", "1", "-1", "1.0", "٣", " a ", "", "nan", "1e400", "9" * 5000]),
    st.sampled_from([v for v in VALUES if not isinstance(v, list | dict)]),
)


def test_any_values_in_jsonl_are_data_or_a_clear_error(campaign: Campaign, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    odd = st.one_of(SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(st.text(), SCALARS))
    texts = st.one_of(st.just("text"), st.just("text"), odd)
    labels = st.one_of(st.sampled_from([0, 1]), st.sampled_from([0, 1]), odd)

    def body(rows: list[tuple[Any, Any]]) -> bool:
        rows = [*rows, *((f"text {i}", i % 2) for i in range(6))]
        lines = [json.dumps({"s": text, "label": label}) + "\n" for text, label in rows]
        path.write_text("".join(lines))
        return accepted(lambda: read(path))

    campaign.search("data: values in jsonl", 300, st.lists(st.tuples(texts, labels)), body)


PARQUET = [
    (pa.int8(), [0, 1]),
    (pa.uint64(), [0, 2**64 - 1]),
    (pa.float16(), [0.0, 1.0]),
    (pa.float64(), [float("nan"), 1e308]),
    (pa.decimal128(5, 2), [Decimal("0.00"), Decimal("1.50")]),
    (pa.binary(), [b"a", b"\xff"]),
    (pa.large_string(), ["a", "b"]),
    (pa.dictionary(pa.int8(), pa.string()), ["a", "b"]),
    (pa.list_(pa.string()), [["a"], []]),
    (pa.struct([("a", pa.int8())]), [{"a": 1}, None]),
    (pa.map_(pa.string(), pa.int8()), [[("a", 1)], []]),
    (pa.timestamp("ns"), [0, 1]),
    (pa.timestamp("ms"), [2**62, -(2**62)]),
    (pa.timestamp("us", tz="No/Where"), [0, 1]),
    (pa.date32(), [0, 2**31 - 1]),
    (pa.time64("ns"), [0, 1]),
    (pa.duration("ns"), [0, 1]),
    (pa.null(), [None, None]),
    (pa.bool_(), [True, False]),
    (pa.string(), [None, "a"]),
]


@pytest.mark.parametrize("column", ["s", "label"])
def test_any_type_in_parquet_is_data_or_a_clear_error(
    campaign: Campaign, column: str, tmp_path: Path
) -> None:
    def body(case: tuple[pa.DataType, list[Any]]) -> bool:
        kind, values = case
        other = "label" if column == "s" else "s"
        path = tmp_path / "t.parquet"
        words = ["a", "b"] * 3 if column == "s" else [f"text {i}" for i in range(6)]
        arrays = [pa.array(values * 3, kind), pa.array(words)]
        pq.write_table(pa.table(arrays, names=[column, other]), path)
        return accepted(lambda: read(path))

    campaign.each("data: types in parquet", PARQUET, body)


def test_any_text_is_read_as_it_was_written(campaign: Campaign, tmp_path: Path) -> None:
    text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
    # Line ends, separators and quotation marks of every kind, more often than chance has them.
    odd = st.text("\r\n\t\v\f\x1c\x85\u2028\u2029\ufeff\"',\\ a0", max_size=6)
    rows = st.lists(
        st.tuples(st.one_of(text, odd).filter(str.strip), st.sampled_from("ab")), min_size=1
    )

    def body(rows: list[tuple[str, str]]) -> bool:
        # One row of each label, so that there is something to learn.
        rows = [*rows, ("one", "a"), ("two", "b"), ("three", "a"), ("four", "b")]
        for ending in ENDINGS:
            path = tmp_path / f"x.{ending}"
            path.write_bytes(written(ending, ["s", "label"], rows))
            quoting = "rfc4180" if ending in ("csv", "tsv") else None
            split = read(path, labels=("a", "b"), quoting=quoting).splits["validation"]
            assert split.texts == [(text,) for text, _ in rows], ending
            assert split.labels.tolist() == ["ab".index(label) for _, label in rows], ending
        return True

    campaign.search("data: round trip in 4 formats", 150, rows, body)


def test_a_tsv_file_is_read_as_it_was_written_or_refused(
    campaign: Campaign, tmp_path: Path
) -> None:
    cells = st.lists(st.text('"" ab', max_size=5).filter(str.strip), min_size=1, max_size=6)
    path = tmp_path / "x.tsv"

    def body(cells: list[str], quoted: bool) -> bool:
        rows = [*zip(cells, "ab" * 3, strict=False), ("c", "a"), ("d", "b"), ("e", "a"), ("f", "b")]
        raw = "".join("\t".join(row) + "\n" for row in [("s", "label"), *rows])
        path.write_bytes(written("tsv", ["s", "label"], rows) if quoted else raw.encode())

        def same() -> None:
            assert read(path).splits["validation"].texts == [(text,) for text, _ in rows]

        return accepted(same)

    campaign.search(
        "data: quotation marks in tsv",
        150,
        st.tuples(cells, st.booleans()),
        lambda case: body(*case),
    )


WHOLE: dict[str, Callable[[], bytes]] = {
    "t.csv": lambda: b"s,label\n" + b"x" * 3_000_000 + b",a\ny,b\n",
    "u.csv": lambda: b's,label\n"' + b'""\n' * 500_000 + b'",a\ny,b\n',
    "v.csv": lambda: b"s,label" + b",x" * 200_000 + b"\n",
    "t.jsonl": lambda: b'{"s":' * 200_000,
    "u.jsonl": lambda: b"[" * 1_000_000,
    "v.jsonl": lambda: b'{"s": "a", "label": ' + b"9" * 1_000_000 + b"}\n",
    "w.jsonl": lambda: b'{"s": "a", "label": 1e400}\n{"s": "a", "label": -1e400}\n',
    "x.jsonl": lambda: b'{"s": "a", "s": "b", "label": 0}\n',
}


@pytest.mark.parametrize("name", WHOLE)
def test_huge_fields_and_deep_nesting_end(campaign: Campaign, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(WHOLE[name]())
    campaign.each("data: huge", [path], lambda path: accepted(lambda: read(path)))


@pytest.mark.parametrize("kind", REPLACED)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_data_that_is_no_file_is_refused_at_once(
    campaign: Campaign, kind: str, ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"t.{ending}"
    replace(path, kind)

    def body(path: Path) -> bool:
        assert not accepted(lambda: read(path))
        return False

    campaign.each("data: no files", [path], body)


GLUE = {
    "CoLA": "gj04\t1\t\tA sentence.\ngj04\t0\t*\tNot sentence a.\n" * 3,
    "SST-2": "sentence\tlabel\n" + "good \t1\nbad \t0\n" * 3,
    "MRPC": "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
    + '1\t1\t2\tA "b.\tA b.\n0\t3\t4\tC.\tD.\n' * 3,
}
OTHER = {"CoLA": (b"A", b"One"), "SST-2": (b"good", b"fine"), "MRPC": (b"C.", b"E.")}
"""What is written in another way in dev, whose examples must be others."""


@pytest.mark.parametrize("name", GLUE)
def test_any_damage_of_a_glue_folder_is_data_or_a_clear_error(
    campaign: Campaign, name: str, tmp_path: Path
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    whole = GLUE[name].encode()
    files = {"train.tsv": whole, "dev.tsv": whole.replace(*OTHER[name])}
    if name == "MRPC":
        files |= {
            "msr_paraphrase_train.txt": whole,
            "msr_paraphrase_test.txt": whole.replace(b"C.", b"F."),
            "dev_ids.tsv": b"1\t2\n",
        }
    text = ("a", "b") if name == "MRPC" else ("a",)
    task = TaskConfig.model_validate({"text": text, "glue_dir": name})

    def load() -> TaskData:
        limits = LimitsConfig(max_train_examples=4)
        glue = str(tmp_path)
        return load_task(
            "t", task, "glue_dir", glue_dir=glue, limits=limits, selection_fraction=None
        )

    def body(random: Random) -> bool:
        for file, whole in files.items():
            (folder / file).write_bytes(whole)
        if name == "MRPC" and random.random() < 0.5:
            (folder / "train.tsv").unlink()
        file = random.choice(sorted(folder.iterdir()))
        if random.random() < 0.1:
            replace(file, random.choice(list(REPLACED)))
            try:
                return accepted(load)
            finally:
                replace(file, "missing")
        file.write_bytes(damaged(random, files[file.name]))
        return accepted(load)

    campaign.draw(f"data: GLUE {name}", 250, body)
