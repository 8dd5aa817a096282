"""GLUE's test files, whose labels are hidden: their texts, their sizes and how answers are written.

Source: Wang et al., "GLUE: A Multi-Task Benchmark and Analysis Platform for Natural Language
Understanding", ICLR 2019, its download, and the names of answers that its evaluation server takes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainables.config.task import HubSource, TaskConfig, normalized
from trainables.data.glue_dir import KEY, LAYOUTS, ORIGIN
from trainables.data.hub import load_dataset
from trainables.data.reading import read_text
from trainables.data.splits import fingerprint
from trainables.data.task import Split, TaskData
from trainables.errors import DataError

HUB = ("nyu-mll/glue", "glue")
"""Names of GLUE on the Hub."""


@dataclass(frozen=True)
class AnswerFile:
    """One file of a submission to GLUE.

    Attributes:
        task: the task that answers it, by its folder in GLUE's download.
        examples: how many there are.
        file: the texts, in GLUE's download.
        hub: the same on the Hub: configuration and split.
        optional: whether a download may lack it.
    """

    task: str
    examples: int
    file: str
    hub: tuple[str, str]
    optional: bool = False


ANSWER_FILES = {
    "CoLA": AnswerFile("CoLA", 1063, "CoLA/test.tsv", ("cola", "test")),
    "SST-2": AnswerFile("SST-2", 1821, "SST-2/test.tsv", ("sst2", "test")),
    "MRPC": AnswerFile("MRPC", 1725, "MRPC/test.tsv", ("mrpc", "test")),
    "STS-B": AnswerFile("STS-B", 1379, "STS-B/test.tsv", ("stsb", "test")),
    "QQP": AnswerFile("QQP", 390965, "QQP/test.tsv", ("qqp", "test")),
    "MNLI-m": AnswerFile("MNLI", 9796, "MNLI/test_matched.tsv", ("mnli", "test_matched")),
    "MNLI-mm": AnswerFile("MNLI", 9847, "MNLI/test_mismatched.tsv", ("mnli", "test_mismatched")),
    "QNLI": AnswerFile("QNLI", 5463, "QNLI/test.tsv", ("qnli", "test")),
    "RTE": AnswerFile("RTE", 3000, "RTE/test.tsv", ("rte", "test")),
    "WNLI": AnswerFile("WNLI", 146, "WNLI/test.tsv", ("wnli", "test")),
    "AX": AnswerFile("MNLI", 1104, "diagnostic/diagnostic.tsv", ("ax", "test"), optional=True),
}
"""Name of a file in the submission, without ``.tsv`` -> what it answers."""

_HUB_LABELS = {
    "CoLA": ("unacceptable", "acceptable"),
    "SST-2": ("negative", "positive"),
    "MRPC": ("not_equivalent", "equivalent"),
    "QQP": ("not_duplicate", "duplicate"),
    "WNLI": ("not_entailment", "entailment"),
}
"""What the Hub calls the labels that GLUE's files number."""


def glue_task(task: TaskConfig, source: str) -> str | None:
    """Which of GLUE's tasks a task is, by its folder in GLUE's download; None if it is none.

    Args:
        task: the task.
        source: where its data is read from.
    """
    if source == "glue_dir":
        return task.glue_dir
    if source == "hub" and task.hub is not None and task.hub.name in HUB:
        configs = {own.hub[0]: own.task for name, own in ANSWER_FILES.items() if name != "AX"}
        return configs.get(task.hub.config or "")
    return None


def glue_tasks(tasks: Mapping[str, TaskConfig], sources: Mapping[str, str]) -> dict[str, str]:
    """Task -> which of GLUE's it is, of those that are GLUE's.

    Raises:
        DataError: two are the same, and a submission has one file for both.
    """
    named = {name: glue_task(task, sources[name]) for name, task in tasks.items()}
    found: dict[str, str] = {}
    for name, glue in named.items():
        if glue is not None and (other := found.setdefault(glue, name)) != name:
            raise DataError(
                f"tasks {other} and {name} are both GLUE's {glue}, whose test a submission answers "
                "once; leave one of them out"
            )
    return {name: glue for name, glue in named.items() if glue is not None}


def answers(task: TaskConfig, source: str, labels: tuple[str, ...]) -> tuple[str, ...]:
    """How GLUE writes each class of one of its tasks; empty for a regression.

    Args:
        task: the task.
        source: where its data was read from.
        labels: its label names in the order of their numbers.
    """
    name = glue_task(task, source)
    assert name is not None, "only GLUE's tasks have answers"
    written = LAYOUTS[name].labels
    # A task may list a source's own names in another order; any other names are in its order.
    known = written if source == "glue_dir" else _HUB_LABELS.get(name, written)
    if set(map(normalized, labels)) == set(known):
        by_name = dict(zip(known, written, strict=True))
        return tuple(by_name[normalized(label)] for label in labels)
    return written


def read_test(name: str, task: TaskConfig, source: str, glue_dir: str | None) -> TaskData | None:
    """Read the unlabelled test files of a task; None if it is none of GLUE's.

    Args:
        name: the task's name.
        task: its configuration.
        source: where its data is read from.
        glue_dir: the GLUE folder; None without one.

    Returns:
        The task with one split for each file that it answers, by the file's name in
        ``ANSWER_FILES``; all labels are 0.

    Raises:
        DataError: a file is missing or malformed, or the Hub cannot be reached.
    """
    glue = glue_task(task, source)
    if glue is None:
        return None
    kind = np.float64 if task.kind == "regression" else np.int64
    splits: dict[str, Split] = {}
    for answered, own in ANSWER_FILES.items():
        if own.task != glue:
            continue
        if source == "hub":
            texts = _from_hub(name, task, own)
        else:
            texts = _from_folder(Path(glue_dir or "").expanduser(), own)
        if texts:
            splits[answered] = Split(texts, np.zeros(len(texts), dtype=kind))
    return TaskData(
        name=name,
        labels=(),
        splits=splits,
        fingerprint=fingerprint((), splits),
        origin=ORIGIN if source == "glue_dir" else "Hub",
        pair=len(task.text) == 2,
    )


def _from_folder(root: Path, own: AnswerFile) -> list[tuple[str, ...]]:
    path = root / own.file
    original = path.parent / "msr_paraphrase_test.txt"
    if not path.is_file() and own.optional:
        return []
    if not path.is_file() and original.is_file():
        # GLUE's test of MRPC is the original one, in its order.
        path = original
    lines = read_text(path, KEY).split("\n")
    while not lines[-1].rstrip("\r"):
        lines.pop()
    rows = [line.rstrip("\r").split("\t") for line in lines]
    columns = rows.pop(0)
    wanted = LAYOUTS[own.task].texts
    for column in wanted:
        if columns.count(column) != 1:
            raise DataError(
                f"{path}:1: the header is not that of GLUE's test file: it has "
                f"{columns.count(column)} columns {column!r} instead of one ({KEY})"
            )
    places = [columns.index(column) for column in wanted]
    for number, fields in enumerate(rows):
        if len(fields) != len(columns):
            raise DataError(
                f"{path}:{number + 2}: {len(fields)} tab-separated columns instead of "
                f"{len(columns)} ({KEY})"
            )
        if path != original and fields[0] != str(number):
            raise DataError(
                f"{path}:{number + 2}: index {fields[0]!r:.20} where {number} is due; GLUE counts "
                f"its test examples from 0 ({KEY})"
            )
    return [tuple(fields[place] for place in places) for fields in rows]


def _from_hub(name: str, task: TaskConfig, own: AnswerFile) -> list[tuple[str, ...]]:
    assert task.hub is not None, "glue_task has seen it"
    config, split = own.hub
    source = HubSource(name=task.hub.name, config=config, revision=task.hub.revision)
    dataset: Mapping[str, Any] = load_dataset(name, source, list(task.text))
    title = f"Hub {source.name} ({config})"
    if split not in dataset:
        raise DataError(f"{title} has no split {split!r}, which holds GLUE's test examples")
    rows = dataset[split]
    for column in (*task.text, "idx"):
        if column not in rows.column_names:
            raise DataError(f"{title} {split} has no column {column!r}")
    if list(rows["idx"]) != list(range(len(rows))):
        raise DataError(f"{title} {split}: its column idx does not count from 0, as GLUE's does")
    return list(zip(*(rows[column] for column in task.text), strict=True))
