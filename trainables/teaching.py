"""What teachers leave for their students: predictions on the training set, computed once.

A teacher is a trial of the same plan. When it has finished it keeps its logits on ``train``; a
student reads those of its teachers when it starts.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainables.atomic import replacing
from trainables.config import TrialConfig
from trainables.errors import TrialError
from trainables.record import RunLayout


def write_teaching(path: Path, logits: dict[str, np.ndarray]) -> None:
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


def load_teachers(
    layout: RunLayout, config: TrialConfig, sizes: dict[str, tuple[int, int]]
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
            [_distributions(layout.teaching(key), task, sizes[task]) for key in keys]
        ).mean(axis=0)
        for task, keys in config.teachers.items()
    }


def has_taught(path: Path) -> bool:
    """Whether a teacher's predictions lie whole at ``path``."""
    try:
        pq.read_metadata(path)
    except (OSError, pa.ArrowException):
        return False
    return True


def _distributions(path: Path, task: str, size: tuple[int, int]) -> np.ndarray:
    advice = "delete it and run the same command again"
    try:
        table = pq.read_table(path, filters=[("task", "==", task)])
        logits = np.array(table["logits"].to_pylist(), dtype=np.float64)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise TrialError(
            f"{path}: a teacher's predictions cannot be read ({reason}); {advice}"
        ) from error
    if logits.shape != size or not np.isfinite(logits).all():
        raise TrialError(
            f"{path}: {logits.shape} predictions of task {task} where {size} are needed; {advice}"
        )
    logits -= logits.max(axis=1, keepdims=True)
    shares = np.exp(logits)
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
