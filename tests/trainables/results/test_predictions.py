"""Predictions are read as they were written, and refused where they are not of the record."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.helpers.damage import empty, scribble, truncate
from tests.helpers.records import Trial, record, trial
from trainables.errors import RunDirectoryError
from trainables.results import predictions as module
from trainables.results.metrics import counts, moments, ranks, trimmed
from trainables.results.predictions import PredictionsCache, read_predictions
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
    assert found["sst2"].labels.dtype == np.uint8
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


def cached(run_dir: RunDir, made: TrialRecord) -> dict[str, Any]:
    """What a report reads through the cache, which it then saves."""
    cache = PredictionsCache(run_dir)
    found = cache.read(made)
    cache.save()
    return {name: (part.labels.tolist(), part.predictions.tolist()) for name, part in found.items()}


WRITTEN = {
    "sst2": (LABELS.tolist(), PREDICTED.tolist()),
    "stsb": (TARGETS.tolist(), NUMBERS.tolist()),
}


@pytest.fixture
def files_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of the trials whose own files were read."""
    keys: list[str] = []

    def read(run_dir: RunDir, made: TrialRecord, split: str) -> Any:
        keys.append(made.key)
        return read_predictions(run_dir, made, split)

    monkeypatch.setattr(module, "read_predictions", read)
    return keys


def test_the_cache_gives_what_the_files_hold_without_reading_them(
    written: tuple[RunDir, TrialRecord], files_read: list[str]
) -> None:
    assert cached(*written) == cached(*written) == WRITTEN
    assert len(files_read) == 1


def test_labels_that_are_equal_are_one_array(written: tuple[RunDir, TrialRecord]) -> None:
    run_dir, made = written
    other = made.model_copy(update={"key": "other"})
    path = run_dir.predictions(other.key)
    path.write_bytes(run_dir.predictions(made.key).read_bytes())
    for _ in ("from the files", "from the cache"):
        cache = PredictionsCache(run_dir)
        assert cache.read(made)["sst2"].labels is cache.read(other)["sst2"].labels
        cache.save()


def test_groups_are_those_that_were_written(
    written: tuple[RunDir, TrialRecord], files_read: list[str]
) -> None:
    """Of the tasks that have them; from the file and from the cache alike."""
    run_dir, made = written
    groups = np.array([7, 7, 3, 3, 3])
    own = {"sst2": evaluation(LABELS, PREDICTED), "stsb": evaluation(TARGETS, NUMBERS)}
    of_split: dict[str, Any] = {"sst2": groups, "stsb": None}
    write_predictions(run_dir.predictions(made.key), {"validation": own}, {"validation": of_split})
    for _ in ("from the file", "from the cache"):
        cache = PredictionsCache(run_dir)
        found = cache.read(made)
        cache.save()
        assert found["sst2"].groups is not None
        assert found["sst2"].groups.tolist() == groups.tolist()
        assert found["stsb"].groups is None
    assert len(files_read) == 1


def test_a_file_that_was_replaced_is_read_again(
    written: tuple[RunDir, TrialRecord], files_read: list[str]
) -> None:
    run_dir, made = written
    cached(run_dir, made)
    path = run_dir.predictions(made.key)
    # Two labels and predictions trade places, so that the new file gives the record as well.
    order = np.array([1, 0, 2, 3, 4])
    own = {
        "sst2": evaluation(LABELS[order], PREDICTED[order]),
        "stsb": evaluation(TARGETS, NUMBERS),
    }
    write_predictions(path, {"selection": own, "validation": own})
    assert cached(run_dir, made)["sst2"] == ([1, 0, 0, 1, 1], [1, 0, 2, 1, 0])
    assert len(files_read) == 2


def test_a_file_that_is_gone_is_not_served_from_the_cache(
    written: tuple[RunDir, TrialRecord],
) -> None:
    run_dir, made = written
    cached(run_dir, made)
    run_dir.predictions(made.key).unlink()
    with pytest.raises(RunDirectoryError, match="missing, damaged or of another trial"):
        cached(run_dir, made)


def test_what_does_not_give_the_record_is_read_from_the_file(
    written: tuple[RunDir, TrialRecord], files_read: list[str]
) -> None:
    run_dir, made = written
    cached(run_dir, made)
    result = made.results["validation"]["sst2"].model_copy(update={"confusion": ((2, 0), (0, 3))})
    results = {"validation": dict(made.results["validation"]) | {"sst2": result}}
    with pytest.raises(RunDirectoryError, match="do not give the results of the record"):
        cached(run_dir, made.model_copy(update={"results": results}))
    assert len(files_read) == 2


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [truncate, empty, scribble, folder, Path.unlink])
def test_a_damaged_cache_is_made_anew(
    written: tuple[RunDir, TrialRecord], damage: Callable[[Path], object], files_read: list[str]
) -> None:
    run_dir, made = written
    cached(run_dir, made)
    damage(run_dir.predictions_cache)
    assert cached(run_dir, made) == WRITTEN
    assert len(files_read) == 2
    if damage is not folder:
        assert cached(run_dir, made) == WRITTEN
        assert len(files_read) == 2


def test_no_flipped_bit_of_the_cache_changes_what_is_read(
    written: tuple[RunDir, TrialRecord],
) -> None:
    run_dir, made = written
    cached(run_dir, made)
    whole = run_dir.predictions_cache.read_bytes()
    for position in range(len(whole)):
        content = bytearray(whole)
        content[position] ^= 1 << position % 8
        run_dir.predictions_cache.write_bytes(content)
        found = PredictionsCache(run_dir).read(made)
        assert found["sst2"].labels.tolist() == LABELS.tolist()
        assert found["stsb"].predictions.tolist() == NUMBERS.tolist()


def test_a_cache_that_cannot_be_written_changes_nothing(
    written: tuple[RunDir, TrialRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(module, "replacing", refuse)
    assert cached(*written) == WRITTEN
    assert not written[0].predictions_cache.exists()
