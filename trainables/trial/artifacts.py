"""The files that a trial writes besides its record: predictions, teacher logits and weights."""

from collections.abc import Iterable, Mapping
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


def write_predictions(
    path: Path,
    evaluations: Evaluations,
    groups: Mapping[str, Mapping[str, np.ndarray | None]] | None = None,
) -> None:
    """Write one row per evaluated example: task, split, index, label, prediction, logits.

    Labels and predictions are whole numbers, unless one of the tasks is a regression. Where a split
    has groups, there is a column for them too.

    Args:
        path: the Parquet file, replaced atomically.
        evaluations: split -> task -> evaluation.
        groups: split -> task -> group of each example, see ``trainables.data.task.Split``.
    """
    columns: dict[str, list[Any]] = {
        name: [] for name in ("task", "split", "index", "label", "prediction", "logits", "group")
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
            of_split = (groups or {}).get(split, {}).get(task)
            columns["group"] += [None] * size if of_split is None else of_split.tolist()
    number = pa.int32()
    if any(e.labels.dtype.kind == "f" for tasks in evaluations.values() for e in tasks.values()):
        number = pa.float64()
    fields = [
        ("task", pa.dictionary(pa.int32(), pa.string())),
        ("split", pa.dictionary(pa.int32(), pa.string())),
        ("index", pa.int32()),
        ("label", number),
        ("prediction", number),
        ("logits", pa.list_(pa.float32())),
    ]
    if any(group is not None for group in columns["group"]):
        fields.append(("group", pa.int64()))
    schema = pa.schema(fields)
    columns = {name: columns[name] for name in schema.names}
    with replacing(path) as temporary:
        pq.write_table(pa.table(columns, schema=schema), temporary)


ADVICE = "delete it and run the same command again"


def write_teacher_logits(path: Path, logits: dict[str, np.ndarray]) -> None:
    """Write a teacher's logits on its training splits.

    Args:
        path: the Parquet file, replaced atomically.
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
    run_dir: RunDir, config: TrialConfig, sizes: dict[str, tuple[int, int]]
) -> dict[str, np.ndarray]:
    """Load what a student's teachers predict, averaged over the teachers.

    Args:
        run_dir: the run directory of the teachers.
        config: the student.
        sizes: task -> number of training examples and classes.

    Returns:
        Task -> float32 of shape ``(examples, classes)`` whose rows sum to 1, of a regression the
        predicted numbers ``(examples, 1)``; without the tasks that have no teacher.

    Raises:
        TrialError: a teacher's logits are missing, damaged, or of other data.
    """
    return {
        task: np.stack(
            [_predicted(run_dir.teacher_logits(key), task, sizes[task]) for key in keys]
        ).mean(axis=0)
        for task, keys in config.teachers.items()
    }


def write_weights(path: Path, model: Classifier) -> None:
    """Write a model's weights as safetensors; the file is replaced atomically."""
    with replacing(path) as temporary:
        save_file({n: t.contiguous() for n, t in model.tensors().items()}, temporary)


def load_weights(path: Path, model: Classifier) -> None:
    """Load another trial's weights into ``model``: the encoder and the heads that both have.

    Raises:
        TrialError: the weights are missing, damaged, of another encoder, or a head's sizes differ.
    """
    try:
        weights = load_file(path)
        missing_keys = model.load_state_dict(weights, strict=False).missing_keys
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise TrialError(
            f"{path}: the weights to start from cannot be used ({reason}); {ADVICE}"
        ) from error
    expected = model.tensors()
    missing_encoder_keys = [
        key for key in missing_keys if key in expected and not key.startswith("heads.")
    ]
    if missing_encoder_keys:
        raise TrialError(
            f"{path}: the weights to start from lack {missing_encoder_keys[0]}; {ADVICE}"
        )


def has_artifacts(run_dir: RunDir, key: str, artifacts: Iterable[str]) -> bool:
    """Whether trial ``key`` has written all ``artifacts`` (see ``Runtime.artifacts``) intact."""
    return all(_is_intact(run_dir, key, name) for name in artifacts)


def _is_intact(run_dir: RunDir, key: str, name: str) -> bool:
    path = run_dir.teacher_logits(key) if name == "teacher_logits" else run_dir.weights(key)
    if (stored := run_dir.exists_remotely(path)) is not None:
        return stored
    try:
        if name == "teacher_logits":
            pq.read_metadata(path)
        else:
            with safe_open(path, framework="pt"):
                pass
    except (OSError, pa.ArrowException, SafetensorError):
        return False
    return True


def _predicted(path: Path, task: str, size: tuple[int, int]) -> np.ndarray:
    """Softmax of the logits in ``path``, float32 of shape ``size`` (examples, classes).

    The only logit of a regression is its prediction, and remains as it is.
    """
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
    if size[1] == 1:
        return logits.astype(np.float32)
    logits -= logits.max(axis=1, keepdims=True)
    exponentials = np.exp(logits)
    return (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)
