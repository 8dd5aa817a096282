"""Runs one trial, from loading the data to writing its record, in the current process.

Nothing here depends on Ray: ``run_trial`` runs a whole trial, and the executors drive the same
``Trial`` in slices.
"""

import platform
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trainables.config.arms import NaiveConcatArm
from trainables.config.metrics import f1_name
from trainables.config.trial import Runtime, TrialConfig
from trainables.data.planned import load_data
from trainables.data.task import TaskData
from trainables.errors import CheckpointError, DivergedError, OneOrManyError, StorageError
from trainables.models.encoder import load_tokenizer
from trainables.models.saved import TaskClasses, save_classifier
from trainables.models.shortcuts.vocabulary import restore_vocabulary
from trainables.results.record import TrialRecord, read_kills, write_record
from trainables.storage.remote_run_dir import on_this_machine, transfer_of
from trainables.storage.run_dir import RunDir
from trainables.storage.waiting import Storage
from trainables.tracking.trial_trackers import TrialTrackers
from trainables.training.checkpoint import save_checkpoint
from trainables.training.device import (
    limit_gpu_memory,
    resolve_device,
    resolve_precision,
    use_deterministic,
    use_threads,
)
from trainables.training.loop import TrainingLoop
from trainables.training.memory import (
    is_out_of_memory,
    keep_freed_memory,
    limit_memory,
    out_of_memory_error,
)
from trainables.training.restore import load_checkpoint, load_newest
from trainables.trial.artifacts import write_predictions, write_teacher_logits, write_weights
from trainables.trial.build import build_training_loop
from trainables.trial.cleanup import clean_up_trial
from trainables.trial.glue_predictions import load_tests, predict, write_test_predictions
from trainables.trial.progress import Phase, Progress, ProgressWriter, progress_of


class Trial:
    """A trial that can be stopped between any two optimiser steps and resumed later.

    Attributes:
        config: what to train.
        runtime: where it runs and which files it writes.
        run_dir: the run directory.
        loop: the training loop; None until it is built.
        record: the trial's record; None until the trial has ended.
        tasks: the data, task name -> data.
        tests: GLUE's test files without labels, where they are to be predicted.
        device: the device's name.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        note: what is not going as planned, for the live views; empty if all is well.
        checkpoints_failed: how many checkpoints could not be written.
    """

    def __init__(self, config: TrialConfig, runtime: Runtime) -> None:
        self.config = config
        self.runtime = runtime = on_this_machine(runtime)
        self.run_dir = RunDir(runtime.output_dir)
        self.transfer = transfer_of(config, runtime)
        self.started = datetime.now(UTC)
        self.storage = Storage(self.run_dir, self.transfer, runtime.storage_timeout)
        self.loop: TrainingLoop | None = None
        self.record: TrialRecord | None = None
        self.error: Exception | None = None
        self.tasks: dict[str, TaskData] = {}
        self.tests: dict[str, TaskData] = {}
        self.device = "cpu"
        self.precision = "fp32"
        self.note = ""
        self.checkpoints_failed = 0
        self._trackers = TrialTrackers(config, runtime, self.storage)
        self._write_progress = ProgressWriter(
            self.run_dir.progress(config.key),
            self.progress,
            self.storage.check,
            self.transfer.push_progress,
        )

    def run(self) -> Iterator[Progress]:
        """Prepare, train and evaluate; yields after each optimiser step.

        While it waits for a run directory that is gone or full it yields about twice a second. When
        the iterator ends, the record, the predictions and, if asked for, the model have been
        written. If it raises, call ``record_failure`` to write the record.
        """
        use_threads(self.runtime.threads)
        on_cpu = resolve_device(self.runtime.device).type == "cpu"
        if on_cpu and self.runtime.memory is None:
            keep_freed_memory()
        with limit_memory(self.runtime.memory if on_cpu else None):
            # If the run directory is away, there would seem to be no checkpoint to resume from.
            yield from self._write_with_retry("checkpoints", self.transfer.pull)
            self._write_progress("preparing")
            yield from self._run(self._prepare())

    def _run(self, loop: TrainingLoop) -> Iterator[Progress]:
        self.loop = loop
        self._trackers.start(loop.state.history)
        loop.on_evaluation_batch = lambda: self._write_progress("evaluating")
        saved = time.monotonic()
        for _ in loop.run():
            self._trackers.log(loop.state.history)
            now = time.monotonic()
            every = self.runtime.checkpoint_every
            if every and now - saved >= every and not loop.done:
                self._checkpoint(loop)
                saved = time.monotonic()
            self._write_progress("training")
            yield self.progress()
        self._trackers.log(loop.state.history)
        if self.config.has_next_segment:
            self._checkpoint(loop)
        yield from self._finish(loop)

    def progress(self, phase: Phase = "training") -> Progress:
        """Progress of the trial in ``phase``."""
        note = self._trackers.notes(self.note)
        return progress_of(self.loop, self.config, note, phase)

    def record_failure(self, error: Exception) -> Iterator[Progress]:
        """Write the record of this trial after ``error`` ended it; yields as ``run`` does.

        If it cannot be written, ``record`` says so too, and the next run trains the trial again.
        """
        self.error = error
        status = "diverged" if isinstance(error, DivergedError) else "failed"
        if is_out_of_memory(error) or (error.__cause__ and is_out_of_memory(error.__cause__)):
            error = out_of_memory_error("the model or its data")
        message = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, OneOrManyError):
            message = f"{type(error).__name__}: {message}"
        if self.loop is None:
            # Trackers also show a trial that failed before its first step.
            self._trackers.start(())
        record = self._record(status=status, error=message)
        timeout = 0.0 if isinstance(error, StorageError) else None
        try:
            yield from self._write_with_retry(
                "its record", lambda: self._write_record(record), timeout
            )
        except (OSError, StorageError) as reason:
            if not isinstance(error, StorageError):
                record = record.model_copy(update={"error": f"{message}; no record: {reason}"})
        self._end(record)

    def _write_record(self, record: TrialRecord) -> None:
        """Write curves and record, and remove the checkpoints that are no longer needed."""
        self._trackers.write_curves(record.history)
        write_record(self.run_dir, record)
        clean_up_trial(self.run_dir, record, keep=self.runtime.keep_checkpoints)

    def stop(self) -> None:
        """Close the trackers of a trial that a scheduler stopped early; it leaves no record."""
        self._trackers.finish("stopped")

    def _end(self, record: TrialRecord) -> None:
        """Make ``record`` the trial's outcome and close its trackers."""
        self.record = record
        self._trackers.finish(record.status.value)

    def _write_with_retry(
        self, name: str, write: Callable[[], object], timeout: float | None = None
    ) -> Iterator[Progress]:
        """``Storage.write_with_retry`` as progress of a trial that waits for the storage."""
        for note in self.storage.write_with_retry(name, write, timeout):
            self.note = note
            yield self.progress()
        self.note = ""

    def _checkpoint(self, loop: TrainingLoop) -> None:
        """Save a checkpoint; if it fails, training continues and tries again the next time."""
        try:
            folder, key = self.run_dir.checkpoints(self.config.key), self.config.key
            self.storage.write_now(lambda: save_checkpoint(folder, key, loop))
            self.note = ""
        except (CheckpointError, StorageError) as error:
            self.checkpoints_failed += 1
            self.note = f"not saved, trying again in {self.runtime.checkpoint_every:g} s: {error}"

    def _prepare(self) -> TrainingLoop:
        config, runtime = self.config, self.runtime
        device = resolve_device(runtime.device)
        use_deterministic(device, config.training.deterministic)
        limit_gpu_memory(device, runtime.gpu)
        self.device = str(device)
        self.precision = resolve_precision(config.training.precision, device, runtime.precision)
        self.tasks = load_data(config, runtime.glue_dir)
        if config.training.predict_test:
            self.tests = load_tests(config, runtime.glue_dir)
        loop = build_training_loop(config, runtime, self.tasks, device, self.precision)
        if runtime.resume_from is not None:
            load_checkpoint(Path(runtime.resume_from), config.key, loop)
        elif runtime.checkpoint_every:
            load_newest(self.run_dir.checkpoints(config.key), config.key, loop)
        loop.state.interruptions += loop.state.step > 0
        if loop.state.step == 0:
            self._continue_segment(loop)
        loop.accumulation.apply_memory_kills(
            read_kills(self.run_dir, config.key), loop.state.step + 1
        )
        return loop

    def _continue_segment(self, loop: TrainingLoop) -> None:
        """Resume from the last checkpoint of the previous segment, if this one has a previous.

        If that checkpoint is gone, the previous segments are trained again, with equal numbers.
        """
        earlier = self.config.earlier
        if earlier is None:
            return
        if load_newest(self.run_dir.checkpoints(earlier.key), earlier.key, loop) is not None:
            state = loop.state
            state.inherited, state.inherited_seconds = state.examples, state.train_seconds
            state.interruptions = 0

    def _finish(self, loop: TrainingLoop) -> Iterator[Progress]:
        evaluations = loop.finish()
        restore_vocabulary(loop.model.encoder)
        if not loop.state.history and not self.config.has_next_segment:
            raise CheckpointError(f"{self.config.title}: ended without an evaluation")
        path = self.run_dir.predictions(self.config.key)
        groups = {
            split: {task: self.tasks[task].splits[split].groups for task in evaluated}
            for split, evaluated in evaluations.items()
        }
        yield from self._write_with_retry(
            "predictions", lambda: write_predictions(path, evaluations, groups)
        )
        if self.tests and not self.config.has_next_segment:
            tests = predict(loop, self.runtime, self.tests)
            target = self.run_dir.test_predictions(self.config.key)
            yield from self._write_with_retry(
                "predictions on test", lambda: write_test_predictions(target, tests)
            )
        yield from self._write_artifacts(loop)
        if self.runtime.save_model and not self.config.has_next_segment:
            yield from self._write_with_retry("the model", lambda: self._save_model(loop))
        reported = loop.reported_epoch
        splits = [epoch.splits for epoch in loop.state.history if epoch.epoch == reported]
        record = self._record(
            status="finished",
            results=(splits[0] if splits else {})
            | {
                split: {task: evaluation.result for task, evaluation in tasks.items()}
                for split, tasks in evaluations.items()
            },
            reported_epoch=reported,
            stop_reason="early_stopping" if loop.state.stopped_early else "budget",
        )
        yield from self._write_with_retry("its record", lambda: self._write_record(record))
        self._end(record)

    def _write_artifacts(self, loop: TrainingLoop) -> Iterator[Progress]:
        """Write ``Runtime.artifacts`` for later trials; yields while waiting for the storage."""
        if "teacher_logits" in self.runtime.artifacts:
            logits, path = loop.teacher_logits(), self.run_dir.teacher_logits(self.config.key)
            yield from self._write_with_retry(
                "predictions on train", lambda: write_teacher_logits(path, logits)
            )
        if "weights" in self.runtime.artifacts:
            target = self.run_dir.weights(self.config.key)
            yield from self._write_with_retry("weights", lambda: write_weights(target, loop.model))

    def _save_model(self, loop: TrainingLoop) -> None:
        tokenizer, strategy = load_tokenizer(self.config.model), loop.strategy
        tokenizer.model_max_length = self.config.model.max_length
        prefixed = isinstance(self.config.arm, NaiveConcatArm) and self.config.arm.task_prefix
        save_classifier(
            self.run_dir.model(self.config.key),
            loop.model,
            tokenizer,
            {
                "arm": self.config.arm_name,
                "key": self.config.key,
                "tasks": {name: list(data.labels) for name, data in self.tasks.items()},
                "prefixes": {name: f"{name}: " if prefixed else "" for name in self.tasks},
            },
            {
                name: TaskClasses(
                    head=strategy.head_of(index),
                    classes=strategy.classes_of(index),
                    texts=2 if data.pair else 1,
                )
                for index, (name, data) in enumerate(self.tasks.items())
            },
        )

    def _record(self, **content: Any) -> TrialRecord:
        if self.loop is not None:
            state = self.loop.state
            content |= {
                "history": tuple(state.history),
                "parameters": self.loop.model.parameters_count,
                "trained_parameters": self.loop.model.trained_count,
                "steps": state.step,
                "examples": state.examples,
                "inherited": state.inherited,
                "train_seconds": state.train_seconds,
                "inherited_seconds": state.inherited_seconds,
                "eval_seconds": state.eval_seconds,
                "accumulation": tuple(self.loop.accumulation.changes),
                "interruptions": state.interruptions,
            }
        return TrialRecord(
            key=self.config.key,
            title=self.config.title,
            config=self.config,
            origins={name: data.origin for name, data in self.tasks.items()},
            labels={name: data.labels for name, data in self.tasks.items()},
            f1={
                name: f1_name(data.labels, self.config.tasks[name].positive)
                for name, data in self.tasks.items()
                if data.labels
            },
            examples_per_split={
                name: {split: len(examples) for split, examples in data.splits.items()}
                for name, data in self.tasks.items()
            },
            device=self.device,
            precision=self.precision,
            threads=self.runtime.threads,
            checkpoints_failed=self.checkpoints_failed,
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
    """Run a whole trial in this process; the run directory is created if it does not exist.

    Args:
        config: the trial.
        runtime: where it runs and which files it writes.
        report: called with the trial and its progress after every optimiser step.

    Returns:
        The finished trial.

    Raises:
        Exception: whatever ended the trial, after its record has been written.
    """
    Path(runtime.output_dir).mkdir(parents=True, exist_ok=True)
    trial = Trial(config, runtime)
    try:
        for progress in trial.run():
            if report is not None:
                report(trial, progress)
    except Exception as error:
        for progress in trial.record_failure(error):
            if report is not None:
                report(trial, progress)
        raise
    return trial
