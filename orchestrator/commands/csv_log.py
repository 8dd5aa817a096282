"""The ``log_file`` of single trials: a CSV file with a row per trial."""

import csv
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.text import csv_text
from trainables.atomic import replacing
from trainables.errors import ConfigError
from trainables.results.record import TrialRecord, measured


def log_row(record: TrialRecord) -> dict[str, str]:
    """A trial as one row of a log file."""
    config = record.config
    row = {
        "finished": record.finished,
        "key": record.key,
        "arm": csv_text(config.arm_name),
        "model": csv_text(config.model_name),
        "tasks": csv_text(" ".join(config.tasks)),
        "seed": str(config.seed),
        "epochs": str(config.training.epochs),
        "batch_size": str(config.training.batch_size),
        "learning_rate": str(config.training.learning_rate),
        "status": record.status,
    }
    for split, results in record.results.items():
        for name, metrics in measured(results, config.tasks).items():
            for metric, value in metrics.items():
                row[f"{split}_{name}_{metric}"] = "n/a" if value is None else f"{value:.6f}"
    return row


def check_log_file(path: Path) -> None:
    """Check before training that a row can be appended.

    Raises:
        ConfigError: it cannot.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise ValueError("it is no file")
        _read_rows(path)
        with path.open("a", encoding="utf-8"):
            pass
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"log_file={path}: no CSV file that can be written ({reason}); name another"
        ) from error


def append_row(path: Path, row: dict[str, str]) -> None:
    """Append a row to a CSV file; new columns are added to the file.

    Trials that end at the same time wait for each other, so that no row is lost.
    """
    with _locked(path.parent):
        columns, rows = _read_rows(path)
        columns += [column for column in row if column not in columns]
        with (
            replacing(path) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows([*rows, row])


def _read_rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows; both empty if the file is absent or empty."""
    if not path.exists():
        return [], []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file, strict=True)
        columns = list(reader.fieldnames or [])
        rows = list(reader)
    if any(None in row for row in rows):
        raise ValueError("a row has more fields than the header")
    return columns, rows


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
