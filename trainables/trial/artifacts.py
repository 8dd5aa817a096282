"""The files that a trial writes besides its record: predictions, teacher logits and weights."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from trainables.atomic import replacing
from trainables.config.trial import TrialConfig
from trainables.errors import TrialError
from trainables.models.classifier import Classifier
from trainables.storage.run_dir import RunDir
from trainables.training.loop import Evaluations


def write_predictions(path: Path, evaluations: Evaluations) -> None:
    """Keep every evaluated example: task, split, index, label, prediction, logits (Parquet)."""
    columns: dict[str, list[Any]] = {
        name: [] for name in ("task", "split", "index", "label", "prediction", "logits")
    }
    for split, tasks in evaluations.items():
        for task, evaluation in tasks.items():
            size = len(evaluation.labels)
            columns["task"] += [task] * size
            columns["split"] += [split] * size
            columns["index"] += range(size)
            columns["label"] += evaluation.labels.tolist()
            columns["prediction"] += evaluation.predictions.tolist()
            columns["logits"] += evaluation.logits.tolist()
    schema = pa.schema(
        [
            ("task", pa.dictionary(pa.int32(), pa.string())),
            ("split", pa.dictionary(pa.int32(), pa.string())),
            ("index", pa.int32()),
            ("label", pa.int32()),
            ("prediction", pa.int32()),
            ("logits", pa.list_(pa.float32())),
        ]
    )
    with replacing(path) as temporary:
        pq.write_table(pa.table(columns, schema=schema), temporary)


ADVICE = "delete it and run the same command again"


def write_teacher_logits(path: Path, logits: dict[str, np.ndarray]) -> None:
    """Keep a teacher's logits, atomically.

    Args:
        path: where to (Parquet).
        logits: task -> float32 of shape ``(examples, classes)``, in the order of ``train``.
    """
    table = pa.table(
        {
            "task": pa.array(
                [task for task, rows in logits.items() for _ in range(len(rows))],
                pa.dictionary(pa.int32(), pa.string()),
            ),
            "logits": pa.array(
                [row for rows in logits.values() for row in rows.tolist()], pa.list_(pa.float32())
            ),
        }
    )
    with replacing(path) as temporary:
        pq.write_table(table, temporary)


def load_teacher_distributions(
    layout: RunDir, config: TrialConfig, sizes: dict[str, tuple[int, int]]
) -> dict[str, np.ndarray]:
    """The mean of the teachers' distributions for every training example.

    Args:
        layout: the run directory that the teachers belong to.
        config: the student.
        sizes: task -> its training examples and classes.

    Returns:
        Task -> float32 of shape ``(examples, classes)``, rows that sum to 1; tasks without a
        teacher are left out.

    Raises:
        TrialError: a teacher's predictions are missing, damaged, or of other data.
    """
    return {
        task: np.stack(
            [_distributions(layout.teacher_logits(key), task, sizes[task]) for key in keys]
        ).mean(axis=0)
        for task, keys in config.teachers.items()
    }


def write_weights(path: Path, model: Classifier) -> None:
    """Keep a model's weights, atomically (safetensors)."""
    with replacing(path) as temporary:
        save_file({n: t.contiguous() for n, t in model.state_dict().items()}, temporary)


def load_weights(path: Path, model: Classifier) -> None:
    """Put another trial's weights into ``model``: the encoder's, and those of heads that both have.

    Raises:
        TrialError: they are missing, damaged or of another encoder.
    """
    try:
        weights = load_file(path)
        lacking = model.load_state_dict(weights, strict=False).missing_keys
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise TrialError(
            f"{path}: the weights to start from cannot be used ({reason}); {ADVICE}"
        ) from error
    if others := [name for name in lacking if not name.startswith("heads.")]:
        raise TrialError(f"{path}: the weights to start from lack {others[0]}; {ADVICE}")


def has_artifacts(layout: RunDir, key: str, artifacts: Iterable[str]) -> bool:
    """Whether all that trial ``key`` was to leave lies there whole."""
    return all(_whole(layout, key, name) for name in artifacts)


def _whole(layout: RunDir, key: str, name: str) -> bool:
    path = layout.teacher_logits(key) if name == "teacher_logits" else layout.weights(key)
    if (remote := layout.exists_remotely(path)) is not None:
        return remote
    try:
        if name == "teacher_logits":
            pq.read_metadata(path)
        else:
            with safe_open(path, framework="pt"):
                pass
    except (OSError, pa.ArrowException, SafetensorError):
        return False
    return True


def _distributions(path: Path, task: str, size: tuple[int, int]) -> np.ndarray:
    try:
        table = pq.read_table(path, filters=[("task", "==", task)])
        logits = np.array(table["logits"].to_pylist(), dtype=np.float64)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise TrialError(
            f"{path}: a teacher's predictions cannot be read ({reason}); {ADVICE}"
        ) from error
    if logits.shape != size or not np.isfinite(logits).all():
        raise TrialError(
            f"{path}: {logits.shape} predictions of task {task} where {size} are needed; {ADVICE}"
        )
    logits -= logits.max(axis=1, keepdims=True)
    shares = np.exp(logits)
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
