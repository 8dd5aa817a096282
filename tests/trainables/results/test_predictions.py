"""Predictions are read as they were written, and refused where they are not of the record."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.helpers.records import Trial, record, trial
from trainables.errors import RunDirectoryError
from trainables.results.metrics import counts, moments, ranks, trimmed
from trainables.results.predictions import read_predictions
from trainables.results.record import Moments, TrialRecord
from trainables.storage.run_dir import RunDir
from trainables.trial.artifacts import write_predictions

LABELS = np.array([0, 1, 0, 1, 1])
PREDICTED = np.array([0, 1, 2, 1, 0])
TARGETS = np.array([0.5, 1.25, 3.0])
NUMBERS = np.array([0.25, 1.5, 2.0])


def evaluation(labels: np.ndarray, predictions: np.ndarray) -> Any:
    return SimpleNamespace(
        labels=labels, predictions=predictions, logits=np.zeros((len(labels), 2), np.float32)
    )


@pytest.fixture
def written(tmp_path: Path) -> tuple[RunDir, TrialRecord]:
    run_dir = RunDir(tmp_path)
    run_dir.predictions("any").parent.mkdir()
    planned: Trial = trial(tasks={"sst2": "accuracy", "stsb": "pearson"})
    result = {
        "sst2": {"confusion": trimmed(counts(LABELS, PREDICTED, 2)).tolist()},
        "stsb": {
            "numbers": Moments.of(moments(TARGETS, NUMBERS)),
            "ranks": Moments.of(moments(ranks(TARGETS), ranks(NUMBERS))),
        },
    }
    made = record(planned, {}, results={"validation": result})
    own = {"sst2": evaluation(LABELS, PREDICTED), "stsb": evaluation(TARGETS, NUMBERS)}
    other = {"sst2": evaluation(LABELS, LABELS), "stsb": evaluation(TARGETS, TARGETS)}
    write_predictions(run_dir.predictions(made.key), {"selection": other, "validation": own})
    return run_dir, made


def test_they_are_those_that_were_written(written: tuple[RunDir, TrialRecord]) -> None:
    found = read_predictions(*written, "validation")
    assert (found["sst2"].labels == LABELS).all()
    assert (found["sst2"].predictions == PREDICTED).all()
    assert found["sst2"].labels.dtype == np.int32
    assert (found["stsb"].predictions == NUMBERS).all()


@pytest.mark.parametrize("task", ["sst2", "stsb"])
def test_those_of_another_training_are_refused(
    written: tuple[RunDir, TrialRecord], task: str
) -> None:
    run_dir, made = written
    results = dict(made.results["validation"])
    results[task] = {
        "sst2": results["sst2"].model_copy(update={"confusion": ((2, 0), (0, 3))}),
        "stsb": results["stsb"].model_copy(
            update={"numbers": Moments.of(moments(TARGETS, TARGETS))}
        ),
    }[task]
    changed = made.model_copy(update={"results": {"validation": results}})
    with pytest.raises(RunDirectoryError, match="do not give the results of the record"):
        read_predictions(run_dir, changed, "validation")


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "no column", "fewer"])
def test_what_cannot_be_read_is_one_line(written: tuple[RunDir, TrialRecord], damage: str) -> None:
    run_dir, made = written
    path = run_dir.predictions(made.key)
    if damage == "missing":
        path.unlink()
    elif damage == "fewer":
        write_predictions(path, {"validation": {"sst2": evaluation(LABELS, PREDICTED)}})
    elif damage == "no column":
        pq.write_table(pa.table({"task": ["sst2"]}), path)
    else:
        path.write_bytes(path.read_bytes()[: 0 if damage == "empty" else -20])
    with pytest.raises(RunDirectoryError, match="missing, damaged or of another trial") as error:
        read_predictions(run_dir, made, "validation")
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
