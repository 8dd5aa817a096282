"""What each tracker has of a trial, read back from its files by the tracker's own reader."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Points = list[tuple[str, int, float]]


@dataclass(frozen=True)
class Seen:
    """A trial as a tracker shows it.

    Attributes:
        points: (name, step, value), sorted; what is there twice stands here twice.
        status: the last one.
        described: name, cell, tags and configuration as one text.
        runs: how many runs it made of the trial.
    """

    points: Points
    status: str
    described: str
    runs: int


def in_wandb(root: Path, key: str) -> Seen:
    from trainables.tracking.wandb_files import records_in

    files = sorted(root.glob(f"wandb/offline-run-*-{key}/*.wandb"))
    points: Points = []
    status, described, runs = "", "", set()
    for record in (record for file in files for record in records_in(file)):
        kind = record.WhichOneof("record_type")
        if kind == "history":
            for item in record.history.item:
                name = item.key or "/".join(item.nested_key)
                if not name.startswith("_"):
                    points.append((name, record.history.step.num, json.loads(item.value_json)))
        elif kind == "run":
            runs.add(record.run.run_id)
            described = str(record.run)
        elif kind == "summary":
            for item in record.summary.update:
                if item.key == "status":
                    status = json.loads(item.value_json)
    return Seen(sorted(points), status, described, len(runs))


def in_tensorboard(root: Path, key: str) -> Seen:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = root / "tensorboard" / key
    there = EventAccumulator(str(folder), {"scalars": 0, "tensors": 0}).Reload()
    points = [
        (tag, event.step, event.value)
        for tag in there.Tags()["scalars"]
        for event in there.Scalars(tag)
    ]
    texts = {
        tag.partition("/")[0]: [
            event.tensor_proto.string_val[0].decode() for event in there.Tensors(tag)
        ]
        for tag in there.Tags()["tensors"]
    }
    described = "\n".join(texts["title"] + texts["tags"] + texts["config"])
    assert "_hparams_/session_start_info" in there.summary_metadata
    return Seen(sorted(points), texts["status"][-1], described, len(texts["title"]))


def in_mlflow(root: Path, key: str) -> Seen:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
    [experiment] = [e for e in client.search_experiments() if e.name == "one-model-or-many"]
    runs = client.search_runs([experiment.experiment_id], f"tags.`key` = '{key}'")
    run = runs[0]
    points = [
        (name, metric.step, metric.value)
        for name in run.data.metrics
        for metric in client.get_metric_history(run.info.run_id, name)
    ]
    endings = {"FINISHED": ["finished"], "KILLED": ["stopped"], "FAILED": ["diverged", "failed"]}
    status = run.data.tags["status"]
    assert status in endings[run.info.status]
    return Seen(sorted(points), status, f"{run.data.tags} {run.data.params}", len(runs))


def in_csv(root: Path, key: str) -> Seen:
    with (root / "curves" / f"{key}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    points = [
        (name, int(row["step"]), float(value))
        for row in rows
        for name, value in row.items()
        if name != "step"
    ]
    record = json.loads((root / "records" / f"{key}.json").read_text())
    steps = [epoch["step"] for epoch in record["history"]]
    assert steps == [int(row["step"]) for row in rows]
    # Cell and tags of a trial follow from its configuration.
    return Seen(sorted(points), record["status"], "", 1)


READERS: dict[str, Callable[[Path, str], Seen]] = {
    "csv": in_csv,
    "wandb": in_wandb,
    "tensorboard": in_tensorboard,
    "mlflow": in_mlflow,
}
