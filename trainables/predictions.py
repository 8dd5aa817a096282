"""Every evaluated example of a trial, so that any other metric can be computed later."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainables.atomic import replacing
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
