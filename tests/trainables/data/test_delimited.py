"""How quotation marks in CSV and TSV are read: as the file shows, as the task says, or refused."""

import csv
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from trainables.config.task import TaskConfig
from trainables.config.trial import LimitsConfig
from trainables.data.files import load
from trainables.data.sources import load_task
from trainables.data.splits import RawTask
from trainables.errors import DataError

Rows = list[tuple[str, str]]
PLAIN: Rows = [("one", "a"), ("two", "b"), ("three", "a")]
INSIDE: Rows = [*PLAIN, ('say "yes" to it', "b")]
OPENING: Rows = [*PLAIN, ('"Great service', "b"), ('"Sure" he said', "a")]
BALANCED: Rows = [*PLAIN, ('"Great service"', "b")]
LINES: Rows = [*PLAIN, ('two\n"lines" and\ta tab', "b")]


def raw(path: Path, rows: Rows) -> None:
    """As GLUE's files are written: a quotation mark is text."""
    path.write_text("".join("\t".join(row) + "\n" for row in [("s", "label"), *rows]))


def by_csv(path: Path, rows: Rows, **options: int) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter="\t", **options).writerows([("s", "label"), *rows])  # type: ignore[arg-type]


def by_csv_all(path: Path, rows: Rows) -> None:
    by_csv(path, rows, quoting=csv.QUOTE_ALL)


def by_pandas(path: Path, rows: Rows) -> None:
    pd.DataFrame(rows, columns=["s", "label"]).to_csv(path, sep="\t", index=False)


def read(path: Path, dev: Path | None = None, quoting: str | None = None) -> RawTask:
    files = {"train": str(path), "validation": str(dev or path)}
    settings = {"text": ["s"], "files": files, "quoting": quoting}
    return load("mine", TaskConfig.model_validate(settings), None)


@pytest.mark.parametrize(
    ("write", "rows", "reading"),
    [
        (raw, PLAIN, "makes no difference"),
        (raw, INSIDE, "makes no difference"),
        (raw, OPENING, "none"),
        (by_csv, PLAIN, "makes no difference"),
        (by_csv, LINES, "rfc4180"),
        (by_csv_all, BALANCED, "rfc4180"),
        (by_pandas, PLAIN, "makes no difference"),
        (by_pandas, LINES, "rfc4180"),
    ],
)
def test_a_tsv_file_that_can_be_read_in_one_way(
    write: Callable[[Path, Rows], None], rows: Rows, reading: str, tmp_path: Path
) -> None:
    path = tmp_path / "t.tsv"
    write(path, rows)
    task = read(path)
    assert task.splits["train"].texts == [(text,) for text, _ in rows]
    assert task.origin == f"files t.tsv, t.tsv; quoting: {reading}"


SWALLOWED: Rows = [*PLAIN, ('"Great', "b"), ("middle", "a"), ('and more "', "b"), ("end", "a")]

# How it is written, the rows, the first line that differs, its field as text and as quoting.
AMBIGUOUS = {
    "whole field": (raw, BALANCED, 5, '"Great service"', "Great service"),
    "doubled": (by_csv, INSIDE, 5, '"say ""yes"" to it"', 'say "yes" to it'),
    "doubled by pandas": (by_pandas, INSIDE, 5, '"say ""yes"" to it"', 'say "yes" to it'),
    "swallowed": (raw, SWALLOWED, 5, '"Great', r"Great\tb\nmiddle\ta\nand more "),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_a_tsv_file_that_can_be_read_in_two_ways(case: str, tmp_path: Path) -> None:
    write, rows, line, text, quoted = AMBIGUOUS[case]
    path = tmp_path / "t.tsv"
    write(path, rows)
    with pytest.raises(DataError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: its quotation marks can be read in two ways ")
    assert f"'{text}' if they are text, '{quoted}' if they quote a field" in message
    assert "set define.tasks.mine.quoting to none (text) or rfc4180" in message
    for quoting in ("none", "rfc4180"):
        task = read(path, quoting=quoting)
        first = task.splits["train"].texts[line - 2][0]
        assert first == (text if quoting == "none" else quoted.encode().decode("unicode_escape"))
        assert task.origin.endswith(f"; quoting: {quoting}")


def test_a_tsv_file_that_can_be_read_in_no_way_names_both_reasons(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text('s\tlabel\none\ta\n"two\nlines"\tb\nshort\n')
    with pytest.raises(DataError, match=r"t\.tsv:5: 1 fields.*quoting=none\): .*t\.tsv:3: 1 field"):
        read(path)


def test_files_of_a_task_may_be_written_in_two_ways(tmp_path: Path) -> None:
    raw(tmp_path / "a.tsv", OPENING)
    by_csv(tmp_path / "b.tsv", LINES)
    raw(tmp_path / "c.tsv", PLAIN)
    origin = read(tmp_path / "a.tsv", tmp_path / "b.tsv").origin
    assert origin == "files a.tsv, b.tsv; quoting: a.tsv none, b.tsv rfc4180"
    origin = read(tmp_path / "a.tsv", tmp_path / "c.tsv").origin
    assert origin == "files a.tsv, c.tsv; quoting: none"


def test_a_csv_file_without_quoting(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('s,label\n"one,a\ntwo",b\n"three",a\n')
    with pytest.raises(DataError, match=r"t\.csv:2: its quotation marks can be read in two ways"):
        read(path)
    assert read(path, quoting="none").splits["train"].texts == [('"one',), ('two"',), ('"three"',)]
    path.write_text('s,label\n"one" x,a\ntwo,b\n')
    with pytest.raises(DataError, match=r"t\.csv:2: .*define\.tasks\.mine\.quoting=none"):
        read(path)
    assert read(path, quoting="none").splits["train"].texts == [('"one" x',), ("two",)]


@pytest.mark.parametrize("ending", ["csv", "tsv"])
@pytest.mark.parametrize("label_first", [False, True])
def test_rows_that_a_quotation_mark_swallows(
    ending: str, label_first: bool, tmp_path: Path
) -> None:
    separator = "," if ending == "csv" else "\t"
    # The last field of text needs quoting, so that the file is well-formed in one way alone.
    rows = [(f"row {i}", "ab"[i % 2]) for i in range(9)]
    rows[3] = ('"open', "b")
    rows[5] = ('close"', "b")
    rows[8] = (f'"x{separator}y"', "a")
    path = tmp_path / f"t.{ending}"
    lines = [("s", "label"), *rows]
    lines = [row[::-1] for row in lines] if label_first else lines
    path.write_text("".join(f"{separator.join(row)}\n" for row in lines))
    if label_first:
        # The mark that closes is not at the end of its field.
        rows[5] = ('close" again', "b")
    with pytest.raises(
        DataError, match=rf"t\.{ending}:5: .* the next 2, which look like rows"
    ) as e:
        read(path)
    assert "define.tasks.mine.quoting=rfc4180" in str(e.value)
    assert len(read(path, quoting="rfc4180").splits["train"]) == 7


@pytest.mark.parametrize(
    "text",
    [
        "a row, b\nof three, a\nor not, c",
        "b, \nb, c, d\nb",
        "of\ntwo lines",
        "a, b,\nand c",
        'a "word"',
        "\n",
    ],
)
def test_a_csv_file_with_quoted_fields_needs_no_key(text: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    frame = pd.DataFrame({"s": [f"{text}x", "two"], "label": ["a", "b"]})
    frame.to_csv(path, index=False)
    task = read(path)
    assert task.splits["train"].texts == [(f"{text}x",), ("two",)]
    assert task.origin == "files t.csv, t.csv"


@pytest.mark.parametrize(
    ("source", "where"),
    [
        ("files", {"files": {"train": "a.jsonl", "validation": "b.parquet"}}),
        ("hub", {"hub": {"name": "me/toy"}, "files": {"train": "a.csv", "validation": "b.csv"}}),
        ("demo", {"demo": "sentiment"}),
    ],
)
def test_quoting_without_such_a_file_is_refused(source: str, where: dict) -> None:
    config = TaskConfig.model_validate({"text": ["s"], "quoting": "none"} | where)
    with pytest.raises(DataError, match=r"define\.tasks\.mine\.quoting=none is for CSV and TSV"):
        load_task(
            "mine", config, source, glue_dir=None, limits=LimitsConfig(), selection_fraction=None
        )
