"""The ``predict`` command: a deployed model's answers for every row of a file."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from orchestrator.deploy.bulk import prediction
from orchestrator.deploy.bulk.prediction import Report, Request, Summary, predict_rows
from orchestrator.deploy.open import open_predictor


def predict(model: Path | str, request: Request, console: Console | None = None) -> Summary:
    """Answer every row of a file with all heads of a model that fit it.

    Args:
        model: an export, or ``models/KEY`` of a run directory.
        request: what is read, answered and written.
        console: where progress is shown; None for nowhere.

    Raises:
        EncoderError: the folder holds no model, or a damaged one.
        ConfigError, DataError: see ``predict_rows``.
    """
    predictor = open_predictor(model)
    with _shown(console) as report:
        return predict_rows(predictor, fingerprint(Path(model)), request, report)


def fingerprint(folder: Path) -> str:
    """Hexadecimal SHA-256 of the names and contents of a model's files."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()


@contextmanager
def _shown(console: Console | None) -> Iterator[Report]:
    """What shows progress: a bar with rows, rows a second and the time that is still needed."""
    if console is None:
        yield lambda progress: None
        return
    columns = (
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TextColumn("{task.fields[rows]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        shown = bar.add_task("", total=None, rows="0 rows")

        def report(progress: prediction.Progress) -> None:
            answered = progress.rows - progress.resumed
            seconds = bar.tasks[0].elapsed or 0.0
            rate = f", {answered / seconds:,.0f} rows/s" if answered and seconds else ""
            total = None if progress.share is None else 1.0
            bar.update(
                shown, total=total, completed=progress.share, rows=f"{progress.rows:,} rows{rate}"
            )

        yield report
