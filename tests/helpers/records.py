"""Synthetic trials and records, so that tests of reports need no training."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainables.config.metrics import REGRESSION
from trainables.config.trial import TrialConfig
from trainables.results.record import TrialRecord
from trainables.storage.run_dir import RunDir
from trainables.training.evaluation import Evaluation
from trainables.trial.artifacts import write_predictions

TASKS = {"cola": "matthews", "sst2": "accuracy", "mrpc": "accuracy"}
ARMS: dict[str, dict[str, Any]] = {
    "single_task": {"strategy": "single_task"},
    "naive_concat": {"strategy": "naive_concat"},
    "naive_concat_union": {"strategy": "naive_concat", "label_space": "union"},
    "shared_encoder": {"strategy": "shared_encoder"},
}
Confusion = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Trial:
    """A planned trial."""

    key: str
    config: TrialConfig


def trial(
    arm_name: str = "shared_encoder",
    tasks: Mapping[str, str] | Sequence[str] = tuple(TASKS),
    model: str = "tiny",
    seed: int = 41,
    **changes: Any,
) -> Trial:
    """A planned trial; ``tasks`` are names, or names with their headline metrics."""
    headlines = (
        dict(tasks) if isinstance(tasks, Mapping) else {t: TASKS.get(t, "accuracy") for t in tasks}
    )
    content: dict[str, Any] = {
        "arm_name": arm_name,
        "arm": ARMS.get(arm_name),
        "tasks": {
            name: {"text": ("sentence",), "headline": headline} | _source(headline)
            for name, headline in headlines.items()
        },
        "sources": dict.fromkeys(headlines, "demo"),
        "fingerprints": {t: hashlib.sha256(t.encode()).hexdigest() for t in headlines},
        "model_name": model,
        "model": {"encoder": model},
        "seed": seed,
        "training": {},
        "selection": {},
        "limits": {},
    }
    config = TrialConfig.model_validate(content | changes)
    return Trial(config.key, config)


def _source(headline: str) -> dict[str, Any]:
    if headline in REGRESSION:
        return {"kind": "regression", "files": {"train": "a.csv", "validation": "b.csv"}}
    return {"demo": "sentiment"}


def record(
    planned: Trial,
    confusions: Mapping[str, Confusion] | None = None,
    status: str = "finished",
    **changes: Any,
) -> TrialRecord:
    """A record of a planned trial with these validation confusions (failed ones have none)."""
    tasks = list(planned.config.tasks)
    if confusions is None:
        confusions = dict.fromkeys(tasks, right(8, 10)) if status == "finished" else {}
    results = {task: {"confusion": confusion} for task, confusion in confusions.items()}
    content: dict[str, Any] = {
        "key": planned.key,
        "title": planned.config.title,
        "status": status,
        "config": planned.config.model_dump(),
        "origins": dict.fromkeys(tasks, "demo (made here)"),
        "labels": {
            task: [f"{task}_{i}" for i in range(len(confusions.get(task, "ab")))] for task in tasks
        },
        "examples_per_split": {t: {"train": 100, "validation": 20} for t in tasks},
        "results": {"validation": results} if results else {},
        "parameters": 1000,
        "train_seconds": 10.0,
        "eval_seconds": 1000.0,
    }
    return TrialRecord.model_validate(content | changes)


def write_predictions_of(run_dir: RunDir, made: TrialRecord) -> None:
    """Write predictions that give the record's validation confusions."""
    evaluations = {}
    for task, result in made.results["validation"].items():
        cells = np.array(result.confusion)
        label, prediction = np.repeat(np.argwhere(cells >= 0), cells.ravel(), axis=0).T
        logits = np.zeros((len(label), len(cells)), np.float32)
        evaluations[task] = Evaluation(result, logits, prediction, label)
    run_dir.predictions(made.key).parent.mkdir(parents=True, exist_ok=True)
    write_predictions(run_dir.predictions(made.key), {"validation": evaluations})


def right(correct: int, of: int, classes: int = 2) -> list[list[int]]:
    """A confusion of ``of`` examples per class, ``correct`` of them right, the rest one on."""
    matrix = [[0] * classes for _ in range(classes)]
    for i in range(classes):
        matrix[i][i] += correct
        matrix[i][(i + 1) % classes] += of - correct
    return matrix


def by_key(*records: TrialRecord) -> dict[str, TrialRecord]:
    """Records as ``read_records`` gives them."""
    return {one.key: one for one in records}
