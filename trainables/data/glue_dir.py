"""Task source ``glue_dir``: CoLA, SST-2 and MRPC from a folder in GLUE's download layout.

Source: Wang et al., "GLUE: A Multi-Task Benchmark and Analysis Platform for Natural Language
Understanding", ICLR 2019, and its download script: like it, this module makes MRPC's ``train`` and
``dev`` from the original files if ``MRPC/train.tsv`` is missing.

Quoting is off everywhere: a quotation mark is text. The test labels of CoLA and SST-2 are hidden,
so only MRPC can have a ``test`` split, from ``msr_paraphrase_test.txt``.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from trainables.config.task import TaskConfig
from trainables.data.reading import read_text
from trainables.data.splits import RawTask
from trainables.data.task import Split
from trainables.errors import DataError

KEY = "data.glue_dir"
ORIGIN = "GLUE folder (official download layout)"
_LABELS = {"0": 0, "1": 1}
_SST2_HEADER = ["sentence", "label"]
_MRPC_HEADER = ["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"]
Row = tuple[int, list[str]]
"""A line number, counted from 1, and the fields of that line."""


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
    labels = task.labels or ("0", "1")
    if len(labels) != 2:
        raise DataError(
            f"define.tasks.{name}.labels names {len(labels)} labels, {task.glue_dir} has 2"
        )
    return RawTask(labels, _READERS[task.glue_dir](folder), ORIGIN)


def _cola(folder: Path) -> dict[str, Split]:
    return {
        split: _split(path, _rows(path, 4), texts=(3,), label=1)
        for split, path in _train_and_dev(folder)
    }


def _sst2(folder: Path) -> dict[str, Split]:
    return {
        split: _split(path, _rows(path, 2, _SST2_HEADER), texts=(0,), label=1)
        for split, path in _train_and_dev(folder)
    }


def _mrpc(folder: Path) -> dict[str, Split]:
    original = folder / "msr_paraphrase_train.txt"
    official = _train_and_dev(folder)
    if all(path.is_file() for _, path in official) or not original.is_file():
        rows = {split: (path, _rows(path, 5, _MRPC_HEADER)) for split, path in official}
    else:
        ids_path = folder / "dev_ids.tsv"
        dev_ids = {tuple(fields) for _, fields in _rows(ids_path, 2)}
        everything = _rows(original, 5, _MRPC_HEADER)
        dev = [row for row in everything if (row[1][1], row[1][2]) in dev_ids]
        train = [row for row in everything if (row[1][1], row[1][2]) not in dev_ids]
        rows = {"train": (original, train), "validation": (original, dev)}
    test = folder / "msr_paraphrase_test.txt"
    if test.is_file():
        rows["test"] = (test, _rows(test, 5, _MRPC_HEADER))
    return {name: _split(path, part, texts=(3, 4), label=0) for name, (path, part) in rows.items()}


_READERS: dict[str, Callable[[Path], dict[str, Split]]] = {
    "CoLA": _cola,
    "SST-2": _sst2,
    "MRPC": _mrpc,
}


def _train_and_dev(folder: Path) -> list[tuple[str, Path]]:
    return [("train", folder / "train.tsv"), ("validation", folder / "dev.tsv")]


def _rows(path: Path, columns: int, header: list[str] | None = None) -> list[Row]:
    """The rows of a file without its header; lines end with ``\\n`` or ``\\r\\n`` only."""
    lines = read_text(path, KEY).split("\n")
    if not lines[-1]:
        lines.pop()
    rows = [(number, line.rstrip("\r").split("\t")) for number, line in enumerate(lines, 1)]
    if header is not None and rows.pop(0)[1] != header:
        raise DataError(f"{path}:1: the header is not {header}; is this GLUE's own file? ({KEY})")
    for number, fields in rows:
        if len(fields) != columns:
            raise DataError(
                f"{path}:{number}: {len(fields)} tab-separated columns instead of {columns} ({KEY})"
            )
    return rows


def _split(path: Path, rows: list[Row], texts: tuple[int, ...], label: int) -> Split:
    """Make a split from the text columns ``texts`` and the column ``label``."""
    for number, fields in rows:
        if fields[label] == "-1":
            raise DataError(f"{path}:{number}: the label is hidden (-1); leave the row out ({KEY})")
        if fields[label] not in _LABELS:
            raise DataError(f"{path}:{number}: label {fields[label]!r} is not 0 or 1 ({KEY})")
        if not any(fields[column].strip() for column in texts):
            reason = "the sentence is" if len(texts) == 1 else "both sentences are"
            raise DataError(f"{path}:{number}: {reason} empty ({KEY})")
    return Split(
        [tuple(fields[column] for column in texts) for _, fields in rows],
        np.array([_LABELS[fields[label]] for _, fields in rows], dtype=np.int64),
    )
