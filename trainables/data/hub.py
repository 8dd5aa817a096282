"""Task source ``hub``: a data set on the Hugging Face Hub, or a local folder of the same layout.

``datasets.load_dataset`` downloads it; code of a data set is never run. First, one request with a
short timeout checks that the Hub answers, because the library's own retries take half a minute or
more to notice that it does not. If it does not answer, the local cache is used.
"""

import logging
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainables.config.task import SPLITS, HubSource, TaskConfig, normalized
from trainables.data.examples import to_raw_task
from trainables.data.labels import HIDDEN
from trainables.data.rows import (
    Rows,
    column_indices,
    is_null,
    make_rows,
    suggestion,
    wanted_columns,
)
from trainables.data.splits import RawTask
from trainables.errors import DataError

PROBE_SECONDS = 5.0
"""Timeout of the request that checks whether the Hub answers."""

_PART = 10_000
"""Rows of a CSV file that ``datasets`` reads at once."""

_AS_WRITTEN = {"chunksize": 1_000_000_000, "keep_default_na": False, "na_values": [""]}
"""Settings of ``datasets`` that read a CSV file as a whole, and words as words."""

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
    dataset = load_dataset(name, source, [column for column, _ in wanted_columns(name, task)])
    rows: dict[str, Rows] = {}
    for split in SPLITS:
        hub_split = getattr(source, split)
        if not isinstance(hub_split, str):
            continue
        if hub_split not in dataset:
            raise DataError(
                f"{_title(source)} has no split {hub_split!r} (define.tasks.{name}.hub.{split}); "
                f"{suggestion(hub_split, dataset)}"
            )
        title, key = f"{_title(source)} {hub_split}", f"define.tasks.{name}.hub.{split}"
        # Only train is divided, so only it must have groups.
        rows[split] = _rows(name, task, title, dataset[hub_split], key, split == "train")
        if dataset[hub_split].builder_name == "csv":
            _check_no_swallowed_rows(name, task.label, rows[split], dataset[hub_split])
    declared = _class_names(dataset[source.train].features[task.label])
    if declared is not None and task.kind == "regression":
        raise DataError(
            f"{_title(source)}: {task.label!r} declares classes ({', '.join(declared[:20])}), and "
            f"define.tasks.{name}.kind=regression needs numbers; remove it"
        )
    if declared is None:
        return to_raw_task(name, task, rows, _title(source))
    names = _names_of(name, task, declared)
    labels = names if _same(names, declared) else declared
    raw = to_raw_task(name, task.model_copy(update={"labels": labels}), rows, _title(source))
    return replace(raw, labels=tuple(map(normalized, names)))


def _title(source: HubSource) -> str:
    """Name of the data set for messages and table headers, without absolute paths."""
    folder = Path(source.name)
    title = f"data set folder {folder.name}" if folder.is_dir() else f"Hub {source.name}"
    config = f" ({source.config})" if source.config else ""
    return title + config + (f" at {source.revision}" if source.revision else "")


def _rows(name: str, task: TaskConfig, title: str, data: Any, key: str, group_needed: bool) -> Rows:
    """The columns of one split that the task needs; ``title`` names it in messages."""
    columns = list(data.column_names)
    indices = column_indices(title, columns, name, task, group_needed=group_needed)
    values = [data[columns[index]][:] for index in indices]
    names, label = _class_names(data.features[task.label]), len(task.text)
    if names is not None:
        # Data sets on the Hub mark hidden labels with -1.
        values[label] = [
            HIDDEN if number == -1 else names[number] if number in range(len(names)) else number
            for number in values[label]
        ]
    records = list(zip(*values, strict=True))
    return make_rows(task, records, lambda row: f"{title} row {row + 1}", key)


def _check_no_swallowed_rows(name: str, label_column: str, rows: Rows, data: Any) -> None:
    """Refuse a text of several lines that look like rows, each with a label.

    ``datasets`` reads quotation marks of CSV and TSV files leniently: one that is text at the
    beginning of a field joins all lines up to the next one.

    Raises:
        DataError: there is such a text, in whatever column.
    """
    known = {str(value) for value in rows.labels if not is_null(value)}
    label = data.column_names.index(label_column)
    for column, feature in data.features.items():
        if getattr(feature, "dtype", None) not in ("string", "large_string"):
            continue
        place, columns = data.column_names.index(column), len(data.column_names)
        for row, value in enumerate(data[column][:]):
            lines = value.split("\n") if value is not None and "\n" in value else []
            cut = ([line.rstrip("\r").split(mark) for line in lines] for mark in "\t,")
            if len(lines) > 1 and any(
                _are_rows(fields, label, place, columns, known) for fields in cut
            ):
                raise DataError(
                    f"{rows.where(row)}: {column!r} has {len(lines)} lines that look like rows, "
                    f"which a quotation mark has joined ({rows.key}): {lines[0]!r:.60}; name the "
                    f"files under define.tasks.{name}.files, where define.tasks.{name}.quoting "
                    f"says what a quotation mark is"
                )


def _are_rows(
    lines: list[list[str]], label: int, place: int, columns: int, known: Collection[str]
) -> bool:
    """Whether the lines of a text look like the rest of a row, whole rows and the begin of one.

    Args:
        lines: the fields of each line.
        label, place: which columns the label and the text are.
        columns: how many there are.
        known: labels.
    """
    first, *rows, last = lines
    # Other fields may hold the separator, so the label is counted from either end.
    whole = all(
        len(row) >= columns and not {row[label], row[label - columns]}.isdisjoint(known)
        for row in rows
    )
    if label > place:
        return whole and len(first) >= columns - place and first[label - columns] in known
    return whole and len(last) > place and last[label] in known


def _class_names(feature: Any) -> tuple[str, ...] | None:
    """The class names of a ``ClassLabel`` column; None for other columns."""
    return tuple(feature.names) if hasattr(feature, "names") else None


def _same(names: tuple[str, ...], others: tuple[str, ...]) -> bool:
    """Whether two label spaces have the same names, in whatever order."""
    return set(map(normalized, names)) == set(map(normalized, others))


def _names_of(name: str, task: TaskConfig, declared: tuple[str, ...]) -> tuple[str, ...]:
    """The task's label names for the ``declared`` classes.

    If both use the same names, in whatever order, labels match by name. Otherwise the task's names
    are new ones for the classes in their order.

    Raises:
        DataError: another number of names, or one that stands where another class is declared.
    """
    if task.labels is None or _same(task.labels, declared):
        return task.labels or declared
    key, shown = f"define.tasks.{name}.labels", ", ".join(declared[:20])
    if len(task.labels) != len(declared):
        raise DataError(
            f"{key} names {len(task.labels)} labels, the data set has {len(declared)}: {shown}"
        )
    numbers = [str(index) for index in range(len(declared))]
    for index, label in enumerate(task.labels):
        known = declared if label in declared else numbers
        if label in known and known[index] != label:
            raise DataError(
                f"{key}: {label!r} stands where the data set declares class {index} as "
                f"{declared[index]!r}; write its names, in any order, or new ones in its order: "
                f"{shown}"
            )
    return task.labels


def load_dataset(name: str, source: HubSource, columns: Sequence[str]) -> Any:
    """Load all splits from a folder or the Hub; from the cache if the Hub does not answer.

    Args:
        name: the task's name, for messages.
        source: the data set.
        columns: those that the task needs.

    Raises:
        DataError: it cannot be had, or its files cannot be read.
    """
    # Slow to import, and only this source needs it.
    from datasets import config, disable_progress_bars
    from datasets import load_dataset as download

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
            dataset = download(source.name, source.config, revision=source.revision)
            if any(_is_guessed(split, columns) for split in dataset.values()):
                dataset = download(
                    source.name, source.config, revision=source.revision, **_AS_WRITTEN
                )
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


def _is_guessed(split: Any, columns: Sequence[str]) -> bool:
    """Whether ``datasets`` may have read something else in a CSV file than what is written there.

    It finds the types of columns anew every 10,000 rows: a text 007 is then read as 7 where all
    texts of its part are numbers. And words such as None and NA are read as nothing.
    """
    if split.builder_name != "csv":
        return False
    empty = [split.data.column(column).null_count for column in columns if column in split.features]
    return len(split) > _PART or any(empty)


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
