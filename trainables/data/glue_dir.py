"""Task source ``glue_dir``: GLUE's tasks from a folder in its download layout.

Source: Wang et al., "GLUE: A Multi-Task Benchmark and Analysis Platform for Natural Language
Understanding", ICLR 2019, and its download script: like it, this module makes MRPC's ``train`` and
``dev`` from the original files if ``MRPC/train.tsv`` is missing. Columns and labels are those that
the loaders of the libraries ``datasets`` (``glue.py``) and transformers (``processors/glue.py``)
read.

Quoting is off everywhere: a quotation mark is text. Test labels are hidden, but for MRPC's, which
are in ``msr_paraphrase_test.txt``.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainables.config.task import TaskConfig
from trainables.data.reading import read_text
from trainables.data.splits import RawTask
from trainables.data.targets import NUMBER
from trainables.data.task import Split
from trainables.errors import DataError

KEY = "data.glue_dir"
ORIGIN = "GLUE folder (official download layout)"
Row = tuple[int, list[str]]
"""A line number, counted from 1, and the fields of that line."""


@dataclass(frozen=True)
class _Layout:
    """The files of one task.

    Attributes:
        texts, label: names of the text columns and of the label column.
        labels: the labels as the files write them, in the order of their numbers; none where they
            are the numbers that a regression predicts.
        columns: names of the columns of files without a header row; None if they have one.
        validation: the file of the validation split.
        mismatched: the file of a second validation split, of other sources than train; None if
            there is none.
        cut_rows: whether rows that lack columns or the label are left out, as both loaders do.
    """

    texts: tuple[str, ...]
    label: str
    labels: tuple[str, ...] = ("0", "1")
    columns: tuple[str, ...] | None = None
    validation: str = "dev.tsv"
    mismatched: str | None = None
    cut_rows: bool = False


_PAIR = ("sentence1", "sentence2")
_ENTAILMENT = ("entailment", "not_entailment")
LAYOUTS = {
    "CoLA": _Layout(("sentence",), "label", columns=("source", "label", "mark", "sentence")),
    "SST-2": _Layout(("sentence",), "label"),
    "MRPC": _Layout(("#1 String", "#2 String"), "Quality"),
    "STS-B": _Layout(_PAIR, "score", ()),
    "QQP": _Layout(("question1", "question2"), "is_duplicate", cut_rows=True),
    "MNLI": _Layout(
        _PAIR,
        "gold_label",
        ("entailment", "neutral", "contradiction"),
        validation="dev_matched.tsv",
        mismatched="dev_mismatched.tsv",
    ),
    "QNLI": _Layout(("question", "sentence"), "label", _ENTAILMENT),
    "RTE": _Layout(_PAIR, "label", _ENTAILMENT),
    "WNLI": _Layout(_PAIR, "label"),
}


@dataclass(frozen=True)
class _Table:
    """The rows of one file.

    Attributes:
        path: the file.
        columns: their names.
        rows: those that are whole.
        left_out: how many are not, where such rows are left out.
    """

    path: Path
    columns: tuple[str, ...]
    rows: list[Row]
    left_out: int = 0


def load(name: str, task: TaskConfig, glue_dir: str | None) -> RawTask:
    """Load the task from its folder under ``glue_dir``.

    Raises:
        DataError: ``glue_dir`` is None, a folder or file is missing, or a row is malformed.
    """
    if glue_dir is None:
        raise DataError(
            f"task {name} is to come from a GLUE folder: set {KEY} or the environment variable "
            "GLUE_DIR to it"
        )
    assert task.glue_dir is not None, "choose_source offers glue_dir only where it is set"
    root = Path(glue_dir).expanduser()
    folder = root / task.glue_dir
    for path in (root, folder):
        if not path.is_dir():
            raise DataError(
                f"{path}: no such folder ({KEY}); it must hold GLUE's official download with the "
                f"folder {task.glue_dir}"
            )
    layout = LAYOUTS[task.glue_dir]
    labels = task.labels or layout.labels
    if len(labels) != len(layout.labels):
        raise DataError(
            f"define.tasks.{name}.labels names {len(labels)} labels, {task.glue_dir} has "
            f"{len(layout.labels)}"
        )
    # The files' own names may be listed in another order; any other names rename them.
    names = labels if set(labels) == set(layout.labels) else layout.labels
    tables = _tables(folder, layout)
    splits = {split: _split(table, layout, names) for split, table in tables.items()}
    left_out = [
        f"; {table.left_out} cut rows of {table.path.name} left out"
        for table in tables.values()
        if table.left_out
    ]
    return RawTask(labels, splits, "".join([ORIGIN, *left_out]))


def _tables(folder: Path, layout: _Layout) -> dict[str, _Table]:
    """Split -> table."""
    files = {"train": folder / "train.tsv", "validation": folder / layout.validation}
    if layout.mismatched is not None:
        files["mismatched"] = folder / layout.mismatched
    original = folder / "msr_paraphrase_train.txt"
    if all(path.is_file() for path in files.values()) or not original.is_file():
        tables = {split: _table(path, layout) for split, path in files.items()}
    else:
        tables = _original_mrpc(original, layout)
    test = folder / "msr_paraphrase_test.txt"
    return tables | ({"test": _table(test, layout)} if test.is_file() else {})


def _original_mrpc(original: Path, layout: _Layout) -> dict[str, _Table]:
    """MRPC's ``train`` and ``validation`` from the original file and the ids of GLUE's dev."""
    ids = _Layout((), "", columns=("#1 ID", "#2 ID"))
    dev_ids = {tuple(fields) for _, fields in _table(original.parent / "dev_ids.tsv", ids).rows}
    whole = _table(original, layout)
    first, second = map(whole.columns.index, ("#1 ID", "#2 ID"))
    parts: dict[bool, list[Row]] = {False: [], True: []}
    for number, fields in whole.rows:
        parts[(fields[first], fields[second]) in dev_ids].append((number, fields))
    return {
        split: _Table(original, whole.columns, parts[in_dev])
        for split, in_dev in (("train", False), ("validation", True))
    }


def _table(path: Path, layout: _Layout) -> _Table:
    """The rows of a file without its header; lines end with ``\\n`` or ``\\r\\n`` only."""
    lines = read_text(path, KEY).split("\n")
    while not lines[-1].rstrip("\r"):
        lines.pop()
    rows = [(number, line.rstrip("\r").split("\t")) for number, line in enumerate(lines, 1)]
    columns = layout.columns
    if columns is None:
        columns = tuple(rows.pop(0)[1])
        for column in (*layout.texts, layout.label):
            if columns.count(column) != 1:
                raise DataError(
                    f"{path}:1: the header is not GLUE's: it has {columns.count(column)} columns "
                    f"{column!r} instead of one; is this GLUE's own file? ({KEY})"
                )
    whole = rows
    if layout.cut_rows:
        label = columns.index(layout.label)
        whole = [row for row in rows if len(row[1]) >= len(columns) and row[1][label]]
    for number, fields in whole:
        if len(fields) != len(columns):
            raise DataError(
                f"{path}:{number}: {len(fields)} tab-separated columns instead of {len(columns)} "
                f"({KEY})"
            )
    return _Table(path, columns, whole, len(rows) - len(whole))


def _split(table: _Table, layout: _Layout, names: tuple[str, ...]) -> Split:
    """Make a split; ``names`` are the labels as the files write them, in the task's order."""
    label = table.columns.index(layout.label)
    texts = [table.columns.index(column) for column in layout.texts]
    numbers: dict[str, float] = {name: number for number, name in enumerate(names)}
    for number, fields in table.rows:
        where = f"{table.path}:{number}"
        if not names:
            numbers[fields[label]] = _score(where, fields[label])
        if fields[label] == "-1":
            raise DataError(f"{where}: the label is hidden (-1); leave the row out ({KEY})")
        if fields[label] not in numbers:
            *others, last = layout.labels
            raise DataError(
                f"{where}: label {fields[label]!r:.80} is not {', '.join(others)} or {last} ({KEY})"
            )
        if not any(fields[column].strip() for column in texts):
            reason = "the sentence is" if len(texts) == 1 else "both sentences are"
            raise DataError(f"{where}: {reason} empty ({KEY})")
    return Split(
        [tuple(fields[column] for column in texts) for _, fields in table.rows],
        np.array(
            [numbers[fields[label]] for _, fields in table.rows],
            dtype=np.int64 if names else np.float64,
        ),
    )


def _score(where: str, text: str) -> float:
    """A label of STS-B, from 0 (no) to 5 (the same meaning)."""
    if not NUMBER.fullmatch(text) or not 0 <= float(text) <= 5:
        raise DataError(f"{where}: label {text!r:.80} is no score from 0 to 5 ({KEY})")
    return float(text)
