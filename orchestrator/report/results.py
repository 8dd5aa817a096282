"""Every number of every trial as one long table: ``results.csv``.

One row per trial, task, split and metric, for pandas, R or a spreadsheet. The records are the only
source; nothing is averaged here (see ``orchestrator/report/table.py`` for that).
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from orchestrator.text import csv_text
from trainables.atomic import replacing
from trainables.results.record import TaskResult, TrialRecord, measured
from trainables.storage.run_dir import RunDir

COLUMNS = (
    "key",
    "status",
    "arm",
    "strategy",
    "model",
    "task",
    "seed",
    "split",
    "metric",
    "value",
    "headline",
)


def results_frame(records: Mapping[str, TrialRecord]) -> pd.DataFrame:
    """Lay out the reported epoch of each record, one row per trial, task, split and metric.

    Metrics are fractions: accuracy, f1, matthews (empty where the split's labels leave them
    undefined), and where known loss (mean cross-entropy) and leak. A trial of several tasks also
    has rows for ``macro`` and ``pooled``. A trial without results (failed, diverged) keeps one row
    per task, with empty split, metric and value. Rows are ordered by arm, model, seed and key,
    whatever the mapping's order. Where settings of some trials were found by a search, a column
    ``tuned`` says of which.
    """
    ordered = sorted(
        records.values(),
        key=lambda r: (r.config.arm_name, r.config.model_name, r.config.seed, r.key),
    )
    rows = [row for record in ordered for row in _rows(record)]
    tuned = ["tuned"] if any(record.config.tuned for record in ordered) else []
    return pd.DataFrame(rows, columns=[*COLUMNS, *tuned])


def write_results(run_dir: RunDir, records: Mapping[str, TrialRecord]) -> None:
    """Write ``results_frame`` to the run directory's ``results.csv``, atomically."""
    frame = results_frame(records)
    for name in ("arm", "model", "task"):
        texts = {text: csv_text(text) for text in frame[name].unique()}
        frame[name] = [texts[text] for text in frame[name]]
    with replacing(run_dir.results) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")


def _rows(record: TrialRecord) -> list[dict[str, Any]]:
    config = record.config
    trial = {
        "key": record.key,
        "status": record.status,
        "arm": config.arm_name,
        "strategy": config.arm.strategy,
        "model": config.model_name,
        "seed": config.seed,
        "tuned": config.tuned,
    }
    rows = []
    for split, results in record.results.items():
        for task, metrics in measured(results, config.tasks, record.labels).items():
            headline = "headline" if task == "macro" else None
            if task in results:
                headline = config.tasks[task].headline
                metrics |= _others(results[task])
            for metric, value in metrics.items():
                where = {"task": task, "split": split, "metric": metric}
                rows.append(trial | where | {"value": value, "headline": metric == headline})
    if rows:
        return rows
    nothing = {"split": None, "metric": None, "value": None, "headline": False}
    return [trial | {"task": task} | nothing for task in config.tasks]


def _others(result: TaskResult) -> dict[str, float | None]:
    """Loss and leak of a result, those that are known."""
    values = {"loss": result.loss, "leak": result.leak}
    return {name: value for name, value in values.items() if value is not None}
