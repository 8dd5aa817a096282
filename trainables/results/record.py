"""The record of a trial, written when it ends: the only source of the comparison table."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    model_validator,
)
from pydantic_core import from_json

from trainables.atomic import read_whole, write_text
from trainables.config.base import Settings
from trainables.config.metrics import CLASSIFICATION, Positive
from trainables.config.task import TaskConfig
from trainables.config.trial import TrialConfig, canonical
from trainables.errors import RunDirectoryError
from trainables.garbage import paused_collection
from trainables.results.metrics import correlation, is_constant, macro, pooled, scores_of
from trainables.results.status import TrialStatus
from trainables.secrets import redacted
from trainables.storage.run_dir import RunDir

RECORD_SCHEMA = 2
"""1 lacked ``accumulation``, ``interruptions`` and ``checkpoints_failed``; it is read as well."""


class Moments(Settings):
    """What the correlation of numbers and their predictions follows from."""

    examples: NonNegativeInt
    mean_target: float
    mean_prediction: float
    target_squares: NonNegativeFloat = Field(
        description="sum of the squared deviations from the mean"
    )
    prediction_squares: NonNegativeFloat
    products: float = Field(description="sum of the products of both deviations")

    @classmethod
    def of(cls, values: np.ndarray) -> Self:
        """From ``metrics.moments``."""
        return cls(
            **dict(zip(cls.model_fields, [int(values[0]), *values[1:].tolist()], strict=True))
        )

    @property
    def values(self) -> np.ndarray:
        """As ``metrics.moments`` returns them."""
        return np.array([value for _, value in self], dtype=np.float64)


class TaskResult(Settings):
    """The result of one task on one split; every metric follows from it.

    A regression has ``numbers`` and, but for running results, ``ranks``; a classification has
    ``confusion``: ``confusion[i][j]`` counts the examples of class ``i`` that were predicted as
    class ``j``; a column more than rows counts predictions of another task's class (naive_concat,
    union).
    """

    confusion: tuple[tuple[NonNegativeInt, ...], ...] = Field(
        default=(), exclude_if=lambda value: not value
    )
    numbers: Moments | None = Field(
        default=None,
        description="moments of targets and predictions",
        exclude_if=lambda value: value is None,
    )
    ranks: Moments | None = Field(
        default=None, description="the same of their ranks", exclude_if=lambda value: value is None
    )
    positive: Positive | None = Field(
        default=None,
        description="index of the class whose F1 is meant, or their mean (macro); None: class 1 of "
        "two classes, macro of more",
        exclude_if=lambda value: value is None,
    )
    loss: float | None = Field(
        default=None,
        description="mean cross-entropy, of a regression mean squared error; none where not finite",
    )
    leak: float | None = Field(
        default=None, description="share of unmasked predictions that are another task's class"
    )

    @model_validator(mode="after")
    def _is_matrix(self) -> Self:
        if (self.numbers is None) == (not self.confusion):
            raise ValueError("a result has either a confusion or numbers")
        if not self.confusion:
            return self
        widths = set(map(len, self.confusion))
        if len(widths) > 1 or widths.pop() - len(self.confusion) not in (0, 1):
            raise ValueError("confusion is neither square nor one column wider")
        if isinstance(self.positive, int) and not 0 <= self.positive < len(self.confusion):
            raise ValueError(f"positive is class {self.positive} of {len(self.confusion)}")
        return self

    def scores(self) -> dict[str, float | None]:
        """Every metric, as fractions; None for what the split's labels leave undefined.

        Running results of a regression have no ``spearman``. Predictions that are all equal score
        0.
        """
        if self.numbers is None:
            return scores_of(self.confusion, CLASSIFICATION, self.positive)
        values = {"pearson": correlation(self.numbers.values)}
        if self.ranks is not None:
            rank = correlation(self.ranks.values)
            values["spearman"] = 0.0 if rank and self.constant else rank
        return values

    def score(self, metric: str) -> float | None:
        """One of ``scores``.

        Raises:
            KeyError: there is no such metric.
        """
        if self.numbers is None:
            return scores_of(self.confusion, (metric,), self.positive)[metric]
        return self.scores()[metric]

    @property
    def constant(self) -> bool:
        """Whether a regression predicts the same for all examples, but for rounding."""
        return self.numbers is not None and is_constant(self.numbers.values)


class GradientCosines(Settings):
    """Cosines between the tasks' gradients of the shared encoder, on a batch of each task."""

    step: PositiveInt = Field(description="optimiser steps so far")
    values: tuple[float | None, ...] = Field(
        description="of every pair of the trial's tasks in their order: first and second, first "
        "and third, second and third ...; none where a gradient is 0 or not finite"
    )


class EpochResult(Settings):
    """One epoch: what training had done by its end, and the evaluation after it."""

    epoch: int = Field(description="counted from 1")
    step: int = Field(description="optimiser steps so far")
    examples: int = Field(description="training examples so far")
    seconds: float = Field(description="since the trial began, interruptions left out")
    learning_rate: float
    train_loss: float
    splits: dict[str, dict[str, TaskResult]] = Field(
        description="train (running), selection and mismatched where there is one, validation -> "
        "task -> result",
    )
    gradient_cosines: tuple[GradientCosines, ...] = Field(
        default=(),
        description="measured during the epoch, where training.gradient_cosines asks for it",
        exclude_if=lambda value: not value,
    )


def _recorded(status: TrialStatus) -> TrialStatus:
    ended = (TrialStatus.FINISHED, TrialStatus.FAILED, TrialStatus.DIVERGED)
    if status not in ended:
        raise ValueError(f"a record's trial is {', '.join(ended)}, not {status}")
    return status


class TrialRecord(Settings):
    """A trial that has ended, for whatever reason."""

    schema_version: Literal[2] = RECORD_SCHEMA
    key: str
    title: str
    status: Annotated[TrialStatus, AfterValidator(_recorded)]
    error: Annotated[str, AfterValidator(redacted)] | None = Field(
        default=None, description="one line: why it failed; no secret of the environment"
    )
    config: TrialConfig
    origins: dict[str, str] = Field(default={}, description="task -> where its data came from")
    labels: dict[str, tuple[str, ...]] = Field(default={}, description="task -> label names")
    f1: dict[str, str] = Field(
        default={}, description="task -> whose F1 was measured, such as F1 of acceptable"
    )
    examples_per_split: dict[str, dict[str, int]] = Field(default={}, description="task -> split")
    results: dict[str, dict[str, TaskResult]] = Field(
        default={}, description="split -> task -> result of the reported epoch"
    )
    history: tuple[EpochResult, ...] = ()
    reported_epoch: int | None = None
    stop_reason: Literal["budget", "early_stopping"] | None = None
    accumulation: tuple[tuple[PositiveInt, PositiveInt], ...] = Field(
        default=(),
        description="(first step, micro-batches) where a batch did not fit into memory as it was",
    )
    interruptions: NonNegativeInt = Field(
        default=0, description="times that it went on from a checkpoint"
    )
    checkpoints_failed: NonNegativeInt = Field(
        default=0, description="that could not be written since the last interruption"
    )
    parameters: int | None = Field(default=None, description="of the whole model, heads included")
    trained_parameters: int | None = Field(
        default=None, description="of them, those that training changed: all but a frozen encoder"
    )
    steps: int = 0
    examples: int = Field(default=0, description="training examples seen")
    inherited: NonNegativeInt = Field(
        default=0, description="of them, those of the trial that it went on from"
    )
    train_seconds: float = 0.0
    inherited_seconds: float = Field(default=0.0, description="of them, see inherited")
    eval_seconds: float = 0.0
    device: str = "cpu"
    precision: str = "fp32"
    threads: int = 1
    host: str = ""
    started: str = Field(default="", description="UTC, ISO 8601")
    finished: str = Field(default="", description="UTC, ISO 8601")

    @model_validator(mode="after")
    def _finished_has_results(self) -> Self:
        if self.status is TrialStatus.FINISHED:
            reported = self.config.evaluated[-1]
            for task in self.config.tasks:
                if task not in self.results.get(reported, {}):
                    raise ValueError(f"finished without a result of task {task}")
        return self

    @property
    def device_seconds(self) -> float:
        """Training time multiplied by the CPU threads, or by one for a GPU."""
        return self.train_seconds * (self.threads if self.device == "cpu" else 1)


def mean_loss(results: Iterable[TaskResult]) -> float:
    """The losses averaged over tasks; ``MAX_LOSS`` in place of what is not finite or larger."""
    losses = [MAX_LOSS if r.loss is None else min(r.loss, MAX_LOSS) for r in results]
    return sum(losses) / len(losses)


MAX_LOSS = 100.0
MACRO = "macro"
TOGETHER = (MACRO, "pooled")
"""Names of the summaries over tasks in ``measured``; no task may have one of them."""


def measured(
    results: Mapping[str, TaskResult],
    tasks: Mapping[str, TaskConfig],
    labels: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, dict[str, float | None]]:
    """Metrics of one split as fractions: task -> metric -> value.

    Several tasks are summarised under ``macro`` (``headline``: the mean of their headline metrics)
    and, where several classify, ``pooled`` (their examples taken together). A value is None where
    the split's labels leave it undefined.

    Args:
        results: task -> result.
        tasks: task -> configuration.
        labels: task -> label names in their order; None: those that the tasks list.
    """
    metrics = {task: result.scores() for task, result in results.items()}
    if len(results) < 2:
        return metrics
    headline = macro([metrics[task].get(tasks[task].headline) for task in results])
    names = {task: (labels or {}).get(task) or tasks[task].labels for task in results}
    summaries = {MACRO: {"headline": headline}, "pooled": pooled_result(results, names)}
    return metrics | {name: values for name, values in summaries.items() if values}


def pooled_result(
    results: Mapping[str, TaskResult], labels: Mapping[str, Sequence[str] | None]
) -> dict[str, float | None]:
    """Metrics of all classified examples taken together, see ``metrics.pooled``.

    Args:
        results: task -> result.
        labels: task -> its label names in their order; None where they are not known.
    """
    kept = {task: result for task, result in results.items() if result.confusion}
    listed = [labels[task] for task in kept]
    names = None if None in listed else [names for names in listed if names is not None]
    confusions = [result.confusion for result in kept.values()]
    return pooled(confusions, [result.positive for result in kept.values()], names) or {}


def write_record(run_dir: RunDir, record: TrialRecord) -> None:
    """Write a record with the checksum of its content, atomically."""
    write_checksummed(run_dir.record(record.key), json.loads(record.model_dump_json()))


def read_kills(run_dir: RunDir, key: str) -> int:
    """How many times the processes of a trial were killed for their memory."""
    try:
        return max(0, int(run_dir.memory_kills(key).read_bytes()[:2]))
    except (OSError, ValueError):
        return 0


def read_record(path: Path, configs: dict[bytes, TrialConfig] | None = None) -> TrialRecord:
    """Read one record.

    Args:
        path: its file.
        configs: those of records that were read before, to share what is equal (see
            ``TrialConfig``); None to share nothing.

    Raises:
        RunDirectoryError: the file is no record, has another version, or fails its checksum.
    """
    cause: Exception | None = None
    try:
        content = from_json(read_whole(path))
        written = content.pop("sha256", None) if isinstance(content, dict) else None
        record = TrialRecord.model_validate(content, context=configs)
        if record.key != path.stem:
            reason = f"key: it is {record.key}, the file's name says otherwise"
        elif written != checksum(content):
            reason = "sha256: its content is not what was written"
        else:
            return record
    except OSError as error:
        cause, reason = error, error.strerror or str(error)
    except ValidationError as error:
        cause, first = error, error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']}"
        for version in (e["input"] for e in error.errors() if e["loc"] == ("schema_version",)):
            reason = (
                f"schema_version: {version}, written by another version of this project, which "
                f"has {RECORD_SCHEMA}"
            )
    except ValueError as error:
        cause, reason = error, f"file: Invalid JSON: {error}"
    raise RunDirectoryError(
        f"{path}: not a readable trial record ({reason}); run the experiment again to train "
        "its trial again"
    ) from cause


def checksum(content: dict[str, Any]) -> str:
    """Hexadecimal SHA-256 of JSON values, independent of their layout in a file."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def write_checksummed(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON object with its checksum, atomically."""
    text = json.dumps(content | {"sha256": checksum(content)}, indent=1)
    write_text(path, text + "\n")


def read_checksummed(path: Path) -> dict[str, Any]:
    """Read a JSON object that ``write_checksummed`` wrote, without its checksum.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds anything else, or the checksum is wrong.
        RecursionError: it is nested too deeply.
    """
    content = json.loads(read_whole(path))
    if not isinstance(content, dict) or content.pop("sha256", None) != checksum(content):
        raise ValueError("not what was written")
    return content


def read_records(
    run_dir: RunDir, damaged: dict[Path, RunDirectoryError] | None = None
) -> dict[str, TrialRecord]:
    """Refresh the run directory, then read all its records, key -> record.

    Args:
        run_dir: the run directory.
        damaged: collects the files that are no readable record, each with the reason; None to
            raise instead.

    Raises:
        RunDirectoryError: a record cannot be read and ``damaged`` is None, or the records' folder
            is a file.
        OSError: the object store cannot be reached.
    """
    run_dir.refresh()
    if run_dir.records.exists() and not run_dir.records.is_dir():
        raise RunDirectoryError(f"{run_dir.records}: not a folder; delete it")
    records: dict[str, TrialRecord] = {}
    configs: dict[bytes, TrialConfig] = {}
    with paused_collection():
        for path in sorted(run_dir.records.glob("*.json"), key=str):
            try:
                record = read_record(path, configs)
                records[record.key] = record
            except RunDirectoryError as error:
                if damaged is None:
                    raise
                damaged[path] = error
    return records
