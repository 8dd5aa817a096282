"""Every number of every trial as one long table: ``results.csv``.

One row per trial, task, split and metric, for pandas, R or a spreadsheet. The records are the only
source; nothing is averaged here (see ``orchestrator/report/table.py`` for that).
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

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


def write_results(
    run_dir: RunDir,
    records: Mapping[str, TrialRecord],
    origins: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Write the reported epoch of each record to the run directory's ``results.csv``, atomically.

    One row per trial, task, split and metric. Metrics are fractions: accuracy, f1, matthews (empty
    where the split's labels leave them undefined), and where known loss (mean cross-entropy) and
    leak. A trial of several tasks also has rows for ``macro`` and ``pooled``. A trial without
    results (failed, diverged) keeps one row per task, with empty split, metric and value. Rows are
    ordered by arm, model, seed and key, whatever the mapping's order. Where settings of some trials
    were found by a search, a column ``tuned`` says of which; with ``origins`` (key -> names of the
    run directories that a trial is from) a column ``run_dir`` names them.
    """
    ordered = sorted(
        records.values(),
        key=lambda r: (r.config.arm_name, r.config.model_name, r.config.seed, r.key),
    )
    tuned = any(record.config.tuned for record in ordered)
    with (
        replacing(run_dir.results) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        added = [*(["tuned"] if tuned else []), *([] if origins is None else ["run_dir"])]
        writer.writerow([*COLUMNS, *added])
        for record in ordered:
            last: list[Any] = [record.config.tuned] if tuned else []
            if origins is not None:
                last.append(csv_text(", ".join(origins[record.key])))
            writer.writerows((*row, *last) for row in _rows(record))


def _rows(record: TrialRecord) -> Iterator[tuple[Any, ...]]:
    """The values of ``COLUMNS``."""
    config = record.config
    arm, model = csv_text(config.arm_name), csv_text(config.model_name)
    trial = (record.key, record.status, arm, config.arm.strategy, model)
    for split, results in record.results.items():
        for task, metrics in measured(results, config.tasks, record.labels).items():
            headline = "headline" if task == "macro" else None
            if task in results:
                headline = config.tasks[task].headline
                metrics |= _others(results[task])
            where = (*trial, csv_text(task), config.seed, split)
            for metric, value in metrics.items():
                yield (*where, metric, value, metric == headline)
    if not any(record.results.values()):
        for task in config.tasks:
            yield (*trial, csv_text(task), config.seed, None, None, None, False)


def _others(result: TaskResult) -> dict[str, float | None]:
    """Loss and leak of a result, those that are known."""
    values = {"loss": result.loss, "leak": result.leak}
    return {name: value for name, value in values.items() if value is not None}
