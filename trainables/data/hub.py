"""Task source ``hub``: a data set on the Hugging Face Hub, or a local folder of the same layout.

``datasets.load_dataset`` downloads it; code of a data set is never run. First, one request with a
short timeout checks that the Hub answers, because the library's own retries take half a minute or
more to notice that it does not. If it does not answer, the local cache is used.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainables.config.task import SPLITS, HubSource, TaskConfig
from trainables.data.rows import Rows, column_indices, suggestion, to_splits
from trainables.data.splits import RawTask
from trainables.errors import DataError

PROBE_SECONDS = 5.0
"""Timeout of the request that checks whether the Hub answers."""

_log = logging.getLogger(__name__)


class _UnreachableError(Exception):
    """The Hub did not answer; the message says what happened."""


def load(name: str, task: TaskConfig, glue_dir: str | None) -> RawTask:
    """Load the task's data set.

    Raises:
        DataError: the Hub cannot be reached and nothing is cached, or the data set has no such
            configuration, split, column or label.
    """
    assert task.hub is not None, "choose_source offers hub only where it is set"
    source = task.hub
    dataset = _load_dataset(name, source)
    rows: dict[str, Rows] = {}
    for split in SPLITS:
        hub_split = getattr(source, split)
        if hub_split is None:
            continue
        if hub_split not in dataset:
            raise DataError(
                f"{_title(source)} has no split {hub_split!r} (define.tasks.{name}.hub.{split}); "
                f"{suggestion(hub_split, dataset)}"
            )
        rows[split] = _rows(name, task, f"{_title(source)} {hub_split}", dataset[hub_split])
    classes = _class_names(dataset[source.train].features[task.label])
    if task.labels is None and classes is not None:
        task = task.model_copy(update={"labels": classes})
    labels, splits = to_splits(name, task, rows, allow_empty_text=True)
    return RawTask(labels, splits, _title(source))


def _title(source: HubSource) -> str:
    """Name of the data set for messages and table headers, without absolute paths."""
    folder = Path(source.name)
    title = f"data set folder {folder.name}" if folder.is_dir() else f"Hub {source.name}"
    config = f" ({source.config})" if source.config else ""
    return title + config + (f" at {source.revision}" if source.revision else "")


def _rows(name: str, task: TaskConfig, title: str, data: Any) -> Rows:
    """Text and label columns of one split of the data set; ``title`` names it in messages."""
    columns = list(data.column_names)
    indices = column_indices(title, columns, name, task)
    *texts, labels = (data[columns[index]][:] for index in indices)
    names = _class_names(data.features[task.label])
    if names is not None:
        # Data sets on the Hub mark hidden labels with -1.
        if any(label is None or not 0 <= label < len(names) for label in labels):
            raise DataError(
                f"{title}: the labels of this split are hidden or missing; name a split in "
                f"define.tasks.{name}.hub that has them"
            )
        label_names = _label_names(name, task, names)
        labels = [label_names[label] for label in labels]
    return Rows(list(zip(*texts, strict=True)), labels, lambda row: f"{title} row {row + 1}")


def _class_names(feature: Any) -> tuple[str, ...] | None:
    """The class names of a ``ClassLabel`` column; None for other columns."""
    return tuple(feature.names) if hasattr(feature, "names") else None


def _label_names(name: str, task: TaskConfig, classes: tuple[str, ...]) -> tuple[str, ...]:
    """The task's label names for the data set's ``classes``, in the order of ``classes``.

    If both use the same names, in whatever order, labels match by name, otherwise by position.
    """
    if task.labels is None or set(task.labels) == set(classes):
        return classes
    if len(task.labels) != len(classes):
        raise DataError(
            f"define.tasks.{name}.labels names {len(task.labels)} labels, the data set has "
            f"{len(classes)}: {', '.join(classes[:20])}"
        )
    return task.labels


def _load_dataset(name: str, source: HubSource) -> Any:
    """Load all splits from a folder or the Hub; from the cache if the Hub does not answer."""
    # Slow to import, and only this source needs it.
    from datasets import config, disable_progress_bars, load_dataset

    key = f"define.tasks.{name}.hub"
    offline = bool(config.HF_HUB_OFFLINE)
    probe_error = None
    reason = "HF_HUB_OFFLINE is set and it is not in the cache"
    if not offline and not Path(source.name).is_dir():
        try:
            _probe(key, source)
        except _UnreachableError as error:
            offline, probe_error = True, error
            reason = f"{error}, and it is not in the cache"
    disable_progress_bars()
    try:
        with _offline(config, offline):
            dataset = load_dataset(source.name, source.config, revision=source.revision)
    except ConnectionError as error:
        raise DataError(
            f"{_title(source)} cannot be had ({key}): {reason}; check the network and "
            "HF_HUB_OFFLINE, or set data.source to glue_dir or demo"
        ) from error
    # Whatever the files of a foreign data set raise is bad input, not a fault of this program.
    except Exception as error:
        text = " ".join(str(error).split())[:300] or type(error).__name__
        raise DataError(f"{_title(source)} cannot be loaded ({key}): {text}") from error
    _check_revision(key, source, dataset, offline)
    if probe_error is not None:
        _log.warning("The Hub gives no answer (%s); using the cached %s", probe_error, source.name)
    return dataset


@contextmanager
def _offline(config: Any, offline: bool) -> Iterator[None]:
    """If ``offline``, let ``datasets`` use only its cache within the block."""
    before = config.HF_HUB_OFFLINE
    config.HF_HUB_OFFLINE = offline
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE = before


def _check_revision(key: str, source: HubSource, dataset: Any, offline: bool) -> None:
    """Check that an offline cache holds the requested commit, which ``datasets`` does not."""
    commit = source.revision or ""
    if not offline or len(commit) != 40 or Path(source.name).is_dir():
        return
    files = [file["filename"] for split in dataset.values() for file in split.cache_files]
    if not all(commit in Path(file).parts for file in files):
        raise DataError(
            f"{_title(source)} ({key}.revision): the cache holds another revision and the Hub "
            "cannot be reached; check the network and HF_HUB_OFFLINE"
        )


def _probe(key: str, source: HubSource) -> None:
    """Ask the Hub once whether it has the data set.

    The request runs in a thread of its own, because a host name lookup has no timeout.

    Raises:
        _UnreachableError: no answer within the timeout, or an error of the Hub's servers.
        DataError: the Hub has no such data set or revision, or requires a login.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    outcome: list[Exception | None] = []

    def ask() -> None:
        try:
            HfApi().dataset_info(source.name, revision=source.revision, timeout=PROBE_SECONDS)
            outcome.append(None)
        except Exception as error:  # handled below
            outcome.append(error)

    thread = threading.Thread(target=ask, name="hub-probe", daemon=True)
    thread.start()
    thread.join(2 * PROBE_SECONDS)
    error = outcome[0] if outcome else TimeoutError(f"no answer in {2 * PROBE_SECONDS:.0f} s")
    if error is None:
        return
    if isinstance(error, GatedRepoError):
        raise DataError(
            f"{_title(source)} ({key}) is gated: accept its terms on the Hub and set HF_TOKEN"
        ) from error
    if isinstance(error, RevisionNotFoundError):
        raise DataError(
            f"{_title(source)} ({key}.revision): the Hub has no such revision"
        ) from error
    if isinstance(error, RepositoryNotFoundError | HFValidationError):
        raise DataError(
            f"{_title(source)} ({key}): neither the Hub nor this machine has it, or it is private "
            "(set HF_TOKEN)"
        ) from error
    if isinstance(error, HfHubHTTPError) and error.response.status_code < 500:
        return
    raise _UnreachableError(" ".join(str(error).split())[:150] or type(error).__name__) from error
