"""One trial from data to record, in whatever process it is called.

Nothing here knows of Ray: ``run_trial`` is what the command line calls, and the Tune Trainable
drives the same ``Trial`` in slices.
"""

import math
import platform
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainables.atomic import replacing
from trainables.config import Runtime, TrialConfig
from trainables.data.task import TaskData
from trainables.errors import CheckpointError, DivergedError, OneOrManyError
from trainables.inputs import load_data, load_tokens
from trainables.models.adapter import add_adapter
from trainables.models.classifier import Classifier
from trainables.models.encoder import load_encoder, load_tokenizer
from trainables.models.saved import save_classifier
from trainables.progress import Progress, write_progress
from trainables.record import RunLayout, TrialRecord, write_record
from trainables.strategies import TrainTask, make_strategy
from trainables.teaching import load_teachers, load_weights, write_teaching, write_weights
from trainables.tracking import Tracker, make_trackers
from trainables.training.checkpoint import load_checkpoint, load_newest, save_checkpoint
from trainables.training.device import (
    deterministic,
    resolve_device,
    resolve_precision,
    use_threads,
)
from trainables.training.loop import Evaluations, TrainingLoop

PROGRESS_SECONDS = 1.0
"""Least time between two progress reports of a trial."""


class Trial:
    """A trial that can be stopped between any two optimiser steps and gone on with later."""

    def __init__(self, config: TrialConfig, runtime: Runtime) -> None:
        self.config = config
        self.runtime = runtime
        self.layout = RunLayout(runtime.output_dir)
        self.started = datetime.now(UTC)
        self.loop: TrainingLoop | None = None
        self.tasks: dict[str, TaskData] = {}
        self.device = "cpu"
        self.precision = "fp32"
        self._trackers: list[Tracker] = []

    def run(self) -> Iterator[Progress]:
        """Prepare, train and evaluate; yields after each optimiser step.

        The record, the predictions and, if asked for, the model are on the disk when the iterator
        ends. ``failed`` makes the record of a trial whose iterator raised.
        """
        loop = self.loop = self._prepare()
        self._trackers = make_trackers(self.config, self.runtime)
        saved = time.monotonic()
        reported = -math.inf
        logged = len(loop.state.history)
        for _ in loop.run():
            for epoch in loop.state.history[logged:]:
                for tracker in self._trackers:
                    tracker.log(epoch)
            logged = len(loop.state.history)
            now = time.monotonic()
            every = self.runtime.checkpoint_every
            if every and now - saved >= every and not loop.done:
                save_checkpoint(self.layout.checkpoints(self.config.key), self.config.key, loop)
                saved = time.monotonic()
            if now - reported >= PROGRESS_SECONDS:
                write_progress(self.layout.progress(self.config.key), self.progress())
                reported = now
            yield self.progress()
        record = self._finish(loop)
        for tracker in self._trackers:
            tracker.finish(record)

    def progress(self) -> Progress:
        """Where training stands; not before ``run`` has given its first step."""
        assert self.loop is not None
        state, loop = self.loop.state, self.loop
        headline = None
        if state.history:
            last = state.history[-1].splits
            headline = loop.headline(last.get("selection", last["validation"]))
        names = list(self.config.tasks)
        name = self.config.tasks[names[0]].headline if len(names) == 1 else "macro"
        return {
            "epoch": state.step * self.config.training.epochs / loop.total_steps,
            "epochs": self.config.training.epochs,
            "step": state.step,
            "total_steps": loop.total_steps,
            "examples": state.examples,
            "loss": loop.loss if math.isfinite(loop.loss) else None,
            "headline": headline,
            "headline_name": name,
            "examples_per_second": state.examples / max(state.train_seconds, 1e-9),
            "time": time.time(),
        }

    def failed(self, error: BaseException) -> TrialRecord:
        """Keep and return the record of this trial after ``error`` ended it."""
        status = "diverged" if isinstance(error, DivergedError) else "failed"
        message = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, OneOrManyError):
            message = f"{type(error).__name__}: {message}"
        record = self._record(status=status, error=message)
        write_record(self.layout, record)
        for tracker in self._trackers:
            tracker.finish(record)
        return record

    def _prepare(self) -> TrainingLoop:
        config, runtime = self.config, self.runtime
        use_threads(runtime.threads)
        device = resolve_device(runtime.device)
        deterministic(device)
        self.device, self.precision = (
            str(device),
            resolve_precision(config.training.precision, device),
        )
        self.tasks = load_data(config, runtime.glue_dir)
        splits = load_tokens(config, runtime, self.tasks)
        sizes = {
            name: (len(splits[name]["train"]), len(data.labels))
            for name, data in self.tasks.items()
        }
        teachers = load_teachers(self.layout, config, sizes)
        strategy = make_strategy(
            config.arm,
            [
                TrainTask(name, len(data.labels), splits[name]["train"], teachers.get(name))
                for name, data in self.tasks.items()
            ],
            config.training,
            config.seed,
        )
        encoder = load_encoder(config.model, config.seed)
        if config.arm.adapter is not None:
            add_adapter(encoder, config.arm.adapter, config.seed)
        kinds = {name: config.arm.task_heads.get(name, config.arm.head) for name in strategy.heads}
        model = Classifier(encoder, strategy.heads, config.seed, config.model.dropout, kinds).to(
            device
        )
        if config.start_from is not None:
            load_weights(self.layout.weights(config.start_from), model)
        loop = TrainingLoop(model, strategy, list(splits.values()), config, self.precision)
        if runtime.resume_from is not None:
            load_checkpoint(Path(runtime.resume_from), config.key, loop)
        elif runtime.checkpoint_every:
            load_newest(self.layout.checkpoints(config.key), config.key, loop)
        return loop

    def _finish(self, loop: TrainingLoop) -> TrialRecord:
        evaluations = loop.finish()
        if not loop.state.history:
            raise CheckpointError(f"{self.config.title}: ended without an evaluation")
        write_predictions(self.layout.predictions(self.config.key), evaluations)
        if "teaching" in self.runtime.leaves:
            write_teaching(self.layout.teaching(self.config.key), loop.taught())
        if "weights" in self.runtime.leaves:
            write_weights(self.layout.weights(self.config.key), loop.model)
        if self.runtime.save_model:
            save_classifier(
                self.layout.model(self.config.key),
                loop.model,
                load_tokenizer(self.config.model),
                {
                    "arm": self.config.arm_name,
                    "key": self.config.key,
                    "tasks": {name: list(data.labels) for name, data in self.tasks.items()},
                },
            )
        epoch = next(e for e in loop.state.history if e.epoch == loop.reported_epoch)
        record = self._record(
            status="finished",
            results=epoch.splits
            | {
                split: {task: evaluation.result for task, evaluation in tasks.items()}
                for split, tasks in evaluations.items()
            },
            reported_epoch=epoch.epoch,
            stop_reason="early_stopping" if loop.state.stopped_early else "budget",
        )
        write_record(self.layout, record)
        return record

    def _record(self, **content: Any) -> TrialRecord:
        if self.loop is not None:
            state = self.loop.state
            content |= {
                "history": tuple(state.history),
                "parameters": self.loop.model.parameters_count,
                "trained_parameters": self.loop.model.trained_count,
                "steps": state.step,
                "examples": state.examples,
                "train_seconds": state.train_seconds,
                "eval_seconds": state.eval_seconds,
            }
        return TrialRecord(
            key=self.config.key,
            title=self.config.title,
            config=self.config,
            origins={name: data.origin for name, data in self.tasks.items()},
            labels={name: data.labels for name, data in self.tasks.items()},
            examples_per_split={
                name: {split: len(examples) for split, examples in data.splits.items()}
                for name, data in self.tasks.items()
            },
            device=self.device,
            precision=self.precision,
            threads=self.runtime.threads,
            host=platform.node(),
            started=self.started.isoformat(timespec="seconds"),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            **content,
        )


def run_trial(
    config: TrialConfig,
    runtime: Runtime,
    report: Callable[[Trial, Progress], None] | None = None,
) -> Trial:
    """Run a whole trial in this process; its errors are raised after they are recorded."""
    trial = Trial(config, runtime)
    try:
        for progress in trial.run():
            if report is not None:
                report(trial, progress)
    except Exception as error:
        trial.failed(error)
        raise
    return trial


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
