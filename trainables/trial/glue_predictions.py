"""What a trained model predicts for GLUE's test files, at the end of its trial or when it is saved.

These predictions have no labels, so no result of a trial depends on them.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from trainables.atomic import replacing
from trainables.config.trial import Runtime, TrialConfig
from trainables.data.batches import evaluation_batches
from trainables.data.glue_test import glue_tasks, read_test
from trainables.data.task import TaskData
from trainables.errors import RunDirectoryError
from trainables.models.saved import load_classifier
from trainables.storage.run_dir import RunDir
from trainables.training.loop import TrainingLoop
from trainables.trial.inputs import load_tokens

TestPredictions = dict[str, np.ndarray]
"""Name of a file of a submission -> predicted classes, int64, of a regression numbers, float64;
``(examples,)``, in the order of the file."""


def load_tests(config: TrialConfig, glue_dir: str | None) -> dict[str, TaskData]:
    """The unlabelled test files of a trial's tasks, as far as they are GLUE's.

    Raises:
        DataError: they cannot be read, or two tasks are the same of GLUE's.
    """
    tests = {
        name: read_test(name, config.tasks[name], config.sources[name], glue_dir)
        for name in glue_tasks(config.tasks, config.sources)
    }
    return {name: data for name, data in tests.items() if data is not None}


def predict(loop: TrainingLoop, runtime: Runtime, tests: Mapping[str, TaskData]) -> TestPredictions:
    """Predict with the model of a loop that has finished.

    A task's own classes alone are predicted, also where ``naive_concat`` masks no others.

    Raises:
        TrialError: not even a single example fits into memory.
    """
    tokens = load_tokens(loop.config, runtime, dict(tests))
    predictions: TestPredictions = {}
    for index, task in enumerate(loop.strategy.tasks):
        for name, split in tokens.get(task.name, {}).items():
            logits = loop.evaluate(index, split).logits
            predictions[name] = _predicted(logits, task.regression)
    return predictions


@torch.no_grad()
def predict_saved(
    folder: Path,
    config: TrialConfig,
    runtime: Runtime,
    tests: Mapping[str, TaskData],
    on_batch: Callable[[], None] = lambda: None,
) -> TestPredictions:
    """Predict with the saved model of a trial, on the CPU in fp32.

    Args:
        folder: the model.
        config: the trial that it is of.
        runtime: where the token cache is.
        tests: see ``load_tests``.
        on_batch: called after every batch.

    Raises:
        EncoderError: the model cannot be read.
    """
    model, _, _ = load_classifier(folder)
    predictions: TestPredictions = {}
    for task, splits in load_tokens(config, runtime, dict(tests)).items():
        for name, split in splits.items():
            order = np.concatenate(
                evaluation_batches(split.lengths, config.training.eval_batch_size)
            )
            computed = []
            for indices in evaluation_batches(split.lengths, config.training.eval_batch_size):
                computed.append(model(split.collate(indices), task).float())
                on_batch()
            logits = torch.cat(computed)[np.argsort(order)].numpy()
            predictions[name] = _predicted(logits, config.tasks[task].kind == "regression")
    return predictions


def _predicted(logits: np.ndarray, regression: bool) -> np.ndarray:
    return logits[:, 0].astype(np.float64) if regression else logits.argmax(axis=1)


def write_test_predictions(path: Path, predictions: TestPredictions) -> None:
    """Write one row per example: file, index, prediction.

    Args:
        path: the Parquet file, replaced atomically.
        predictions: of every file.
    """
    table = pa.table(
        {
            "file": pa.array(_repeated(predictions), pa.dictionary(pa.int32(), pa.string())),
            "index": pa.array(
                [i for own in predictions.values() for i in range(len(own))], pa.int32()
            ),
            "prediction": pa.array(
                [value for own in predictions.values() for value in own.tolist()], pa.float64()
            ),
        }
    )
    with replacing(path) as temporary:
        pq.write_table(table, temporary)


def _repeated(predictions: TestPredictions) -> Iterable[str]:
    return [name for name, own in predictions.items() for _ in range(len(own))]


def read_test_predictions(run_dir: RunDir, key: str) -> TestPredictions | None:
    """Read what a trial predicted on test; None if it left nothing.

    Returns:
        See ``TestPredictions``; all are float64.

    Raises:
        RunDirectoryError: the file is damaged.
        OSError: an object store cannot be reached.
    """
    path = run_dir.test_predictions(key)
    run_dir.fetch(path)
    if not path.exists():
        return None
    try:
        table = pq.read_table(path, use_threads=False).to_pydict()
        rows = list(zip(table["file"], table["index"], table["prediction"], strict=True))
        predictions: dict[str, list[float]] = {}
        for file, index, prediction in rows:
            own = predictions.setdefault(file, [])
            if index != len(own) or not np.isfinite(prediction):
                raise ValueError(f"example {len(own)} of {file} is missing")
            own.append(prediction)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise RunDirectoryError(f"{path}: damaged ({reason})") from error
    return {name: np.array(own, dtype=np.float64) for name, own in predictions.items()}
