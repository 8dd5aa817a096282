"""The predictions that a trial wrote beside its record, checked against it."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainables.errors import RunDirectoryError
from trainables.results.metrics import counts, moments, trimmed
from trainables.results.record import TaskResult, TrialRecord
from trainables.storage.run_dir import RunDir


@dataclass(frozen=True)
class Predictions:
    """What a trial predicted for one task on one split.

    Attributes:
        labels: true classes, or a regression's targets, ``(examples,)``.
        predictions: of each example; the number of classes stands for another task's class.
    """

    labels: np.ndarray
    predictions: np.ndarray


def read_predictions(run_dir: RunDir, record: TrialRecord, split: str) -> dict[str, Predictions]:
    """Read the predictions of a finished trial: task -> predictions, in the order of the examples.

    Raises:
        RunDirectoryError: the file is missing or damaged, or its predictions do not give the
            record's results.
        OSError: an object store cannot be reached.
    """
    path = run_dir.predictions(record.key)
    run_dir.fetch(path)
    try:
        table = pq.read_table(
            path, columns=["task", "label", "prediction"], filters=[("split", "==", split)]
        )
        task = table["task"].cast(pa.string()).to_numpy()
        label, prediction = table["label"].to_numpy(), table["prediction"].to_numpy()
        predictions = {
            name: _checked(result, label[task == name], prediction[task == name])
            for name, result in record.results.get(split, {}).items()
        }
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise RunDirectoryError(
            f"{path}: missing, damaged or of another trial ({reason})"
        ) from error
    return predictions


def _checked(result: TaskResult, labels: np.ndarray, predictions: np.ndarray) -> Predictions:
    """The predictions, if they give the result that the record has."""
    if result.numbers is None:
        labels, predictions = labels.astype(np.int32), predictions.astype(np.int32)
        made = trimmed(counts(labels, predictions, len(result.confusion))).tolist()
        same = made == [list(row) for row in result.confusion]
    else:
        wanted = result.numbers.values
        same = np.allclose(moments(labels, predictions), wanted, rtol=1e-6, atol=1e-9)
    if not same:
        raise ValueError("its predictions do not give the results of the record")
    return Predictions(labels, predictions)
