"""The predictions that a trial wrote beside its record, checked against it."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainables.atomic import read_whole, replacing
from trainables.errors import RunDirectoryError
from trainables.results.metrics import counts, moments, trimmed
from trainables.results.record import TaskResult, TrialRecord
from trainables.storage.run_dir import RunDir

TYPES = {kind.__name__: kind for kind in (np.uint8, np.int32, np.float64)}
"""Types of labels and predictions, by the name that the cache has for each."""


@dataclass(frozen=True)
class Predictions:
    """What a trial predicted for one task on one split.

    Attributes:
        labels: true classes, or a regression's targets, ``(examples,)``; uint8 up to 255 classes,
            else int32, of a regression float64.
        predictions: of each example, of the same type; the number of classes stands for another
            task's class.
        groups: of each example, int64: those of one group are no independent draws; None without
            groups, or where they were not written.
    """

    labels: np.ndarray
    predictions: np.ndarray
    groups: np.ndarray | None = None


def read_predictions(run_dir: RunDir, record: TrialRecord, split: str) -> dict[str, Predictions]:
    """Read the predictions of a finished trial: task -> predictions, in the order of the examples.

    Raises:
        RunDirectoryError: the file is missing or damaged, or its predictions do not give the
            record's results.
        OSError: an object store cannot be reached.
    """
    path = run_dir.predictions(record.key)
    run_dir.fetch(path)
    try:
        with pq.ParquetFile(path) as file:
            columns = ["task", "split", "label", "prediction"]
            grouped = "group" in file.schema_arrow.names
            table = file.read([*columns, *(["group"] if grouped else [])], use_threads=False)
        of_split = _equal(table["split"], split)
        label, prediction = table["label"].to_numpy(), table["prediction"].to_numpy()
        predictions = {}
        for name, result in record.results.get(split, {}).items():
            rows = of_split & _equal(table["task"], name)
            groups = table["group"].filter(rows) if grouped else None
            predictions[name] = _checked(
                result,
                label[rows],
                prediction[rows],
                None if groups is None or groups.null_count else groups.to_numpy(),
            )
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise RunDirectoryError(
            f"{path}: missing, damaged or of another trial ({reason})"
        ) from error
    return predictions


def read_logits(run_dir: RunDir, record: TrialRecord, split: str) -> dict[str, np.ndarray]:
    """Read the logits of a finished trial, of each task's own labels, in the order of the examples.

    Returns:
        Task -> float32 of shape ``(examples, labels)``; of a regression ``(examples, 1)``.

    Raises:
        RunDirectoryError, OSError: see ``read_predictions``.
    """
    read_predictions(run_dir, record, split)
    path = run_dir.predictions(record.key)
    try:
        table = pq.read_table(path, columns=["task", "split", "logits"], use_threads=False)
        of_split = _equal(table["split"], split)
        return {
            name: np.array(
                table["logits"].filter(of_split & _equal(table["task"], name)).to_pylist(),
                dtype=np.float32,
            )
            for name in record.results.get(split, {})
        }
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise RunDirectoryError(f"{path}: damaged ({reason})") from error


def _equal(column: pa.ChunkedArray, text: str) -> np.ndarray:
    """Which rows of a column of texts are ``text``, bool of shape ``(rows,)``."""
    encoded = column.combine_chunks().dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    index = texts.index(text) if text in texts else -1
    return encoded.indices.to_numpy() == index


def _checked(
    result: TaskResult, labels: np.ndarray, predictions: np.ndarray, groups: np.ndarray | None
) -> Predictions:
    """The predictions, if they give the result that the record has."""
    if result.numbers is None:
        classes = len(result.confusion)
        made = trimmed(counts(labels, predictions, classes)).tolist()
        same = made == [list(row) for row in result.confusion]
        kind = np.uint8 if classes <= np.iinfo(np.uint8).max else np.int32
        labels, predictions = labels.astype(kind), predictions.astype(kind)
    else:
        wanted = result.numbers.values
        same = np.allclose(moments(labels, predictions), wanted, rtol=1e-6, atol=1e-9)
    if not same:
        raise ValueError("its predictions do not give the results of the record")
    if groups is not None and len(groups) != len(labels):
        raise ValueError("it has not a group for each example")
    return Predictions(labels, predictions, groups)


class PredictionsCache:
    """The validation predictions of a run directory's trials in one file, for the next report.

    Reading it takes a fraction of the time of reading a file per trial. It is no result and may be
    deleted: what it has of a trial counts only while the trial's own file has the size and time
    that it had, and if it gives the results of the trial's record, as is asked of the file itself.
    Everything else is read from the trial's file.

    Args:
        run_dir: the run directory; of one in an object store the copy here keeps the cache.
    """

    SPLIT = "validation"

    def __init__(self, run_dir: RunDir) -> None:
        self._run_dir = run_dir
        self._before = _load(run_dir.predictions_cache)
        self._now: dict[str, _Cached] = {}
        self._arrays: dict[tuple[str, bytes], np.ndarray] = {}
        self._changed = False

    def read(self, record: TrialRecord) -> dict[str, Predictions]:
        """``read_predictions`` of the validation split; equal labels, and groups, are one array.

        Raises:
            RunDirectoryError, OSError: see ``read_predictions``.
        """
        path = self._run_dir.predictions(record.key)
        self._run_dir.fetch(path)
        # Before the file is read: one that is replaced meanwhile is read again the next time.
        file = _identity(path)
        predictions = self._cached(record, file)
        if predictions is None:
            self._changed = True
            predictions = read_predictions(self._run_dir, record, self.SPLIT)
        predictions = {
            name: Predictions(
                self._shared(own.labels),
                own.predictions,
                None if own.groups is None else self._shared(own.groups),
            )
            for name, own in predictions.items()
        }
        if file is not None:
            self._now[record.key] = _Cached(file, predictions)
        return predictions

    def _cached(
        self, record: TrialRecord, file: tuple[int, int] | None
    ) -> dict[str, Predictions] | None:
        """What the cache has of a trial whose file is ``file``; None if that does not count."""
        cached = self._before.get(record.key)
        if cached is None or cached.file != file:
            return None
        with suppress(KeyError, ValueError):
            return {
                name: _checked(result, own.labels, own.predictions, own.groups)
                for name, result in record.results.get(self.SPLIT, {}).items()
                for own in [cached.tasks[name]]
            }
        return None

    def _shared(self, values: np.ndarray) -> np.ndarray:
        return self._arrays.setdefault((values.dtype.str, values.tobytes()), values)

    def save(self) -> None:
        """Write what was read, unless the file has it already or cannot be written."""
        if self._changed or self._now.keys() != self._before.keys():
            with suppress(OSError), replacing(self._run_dir.predictions_cache) as temporary:
                _write(temporary, self._now)


@dataclass(frozen=True)
class _Cached:
    """What the cache has of one trial: size and time of its file, and task -> predictions."""

    file: tuple[int, int]
    tasks: dict[str, Predictions]


def _identity(path: Path) -> tuple[int, int] | None:
    """A file's size in bytes and the time of its last change in ns; None if there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


_COLUMNS = ("key", "task", "size", "mtime_ns", "type", "labels", "predictions", "groups")


def _write(path: Path, trials: dict[str, _Cached]) -> None:
    rows = [(key, trial, task) for key, trial in trials.items() for task in trial.tasks]
    parts = [trial.tasks[task] for _, trial, task in rows]
    table = pa.table(
        {
            "key": [key for key, *_ in rows],
            "task": [task for *_, task in rows],
            "size": [trial.file[0] for _, trial, _ in rows],
            "mtime_ns": [trial.file[1] for _, trial, _ in rows],
            "type": [part.labels.dtype.name for part in parts],
            # Runs of one grid have the same labels, which a dictionary holds once.
            "labels": pa.array([part.labels.tobytes() for part in parts]).dictionary_encode(),
            "predictions": pa.array(
                [part.predictions.tobytes() for part in parts], pa.large_binary()
            ),
            "groups": pa.array(
                [None if part.groups is None else part.groups.tobytes() for part in parts],
                pa.binary(),
            ).dictionary_encode(),
        }
    )
    pq.write_table(table, path, write_page_checksum=True)


def _load(path: Path) -> dict[str, _Cached]:
    """What a cache file holds, by trial; nothing if it is missing or damaged."""
    trials: dict[str, _Cached] = {}
    try:
        source = pa.BufferReader(read_whole(path))
        with pq.ParquetFile(source, page_checksum_verification=True) as file:
            table = file.read(use_threads=False).to_pydict()
        for key, task, size, mtime_ns, name, labels, predictions, groups in zip(
            *(table[name] for name in _COLUMNS), strict=True
        ):
            kind = TYPES[name]
            trial = trials.setdefault(key, _Cached((size, mtime_ns), {}))
            trial.tasks[task] = Predictions(
                np.frombuffer(labels, kind),
                np.frombuffer(predictions, kind),
                None if groups is None else np.frombuffer(groups, np.int64),
            )
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return {}
    return trials
