"""Makes results, tables and report of a run directory from its records: the ``report`` command."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.planning.plan import PlannedTrial
from orchestrator.report.render import FORMATS, write_tables
from orchestrator.report.results import write_results
from orchestrator.report.table import Table, comparison
from orchestrator.run_dir.directory import read_data_facts, read_plan
from orchestrator.run_dir.remote import Where, run_dir_at
from trainables.errors import RunDirectoryError
from trainables.results.record import TrialRecord, read_records
from trainables.storage.object_store import is_url
from trainables.storage.run_dir import RunDir
from trainables.trial.progress import read_progress


@dataclass(frozen=True)
class Outcome:
    """What a grid came to.

    Attributes:
        table: the comparison.
        failed: records of the trials that failed or diverged.
        missing: planned trials without a record, and how far each was.
        damaged: files among the records that are no readable record, and why.
        warnings: what else is not as it should be; the table does not depend on it.
        trained: how many trials this call trained.
    """

    table: Table
    failed: tuple[TrialRecord, ...]
    missing: tuple[str, ...]
    damaged: tuple[str, ...]
    warnings: tuple[str, ...]
    trained: int


def report(where: Where) -> Outcome:
    """Make results and tables anew from a run directory's records alone.

    Raises:
        RunDirectoryError: there is no plan, or it is damaged.
    """
    run_dir = run_dir_at(where)
    if not run_dir.plan.is_file():
        name = run_dir.url or run_dir.root
        raise RunDirectoryError(f"{name}: no run directory (plan.json is missing)")
    trials = read_plan(run_dir)
    damaged: dict[Path, RunDirectoryError] = {}
    records = read_records(run_dir, damaged)
    table = comparison(trials, records, data=read_data_facts(run_dir))
    write_results(run_dir, records)
    write_tables(run_dir, table)
    warnings = published(run_dir, run_dir.results, *map(run_dir.table, FORMATS))
    ended = [records[trial.key] for trial in trials if trial.key in records]
    return Outcome(
        table=table,
        failed=tuple(record for record in ended if record.status != "finished"),
        missing=tuple(_unfinished(run_dir, trial) for trial in trials if trial.key not in records),
        damaged=tuple(map(str, damaged.values())),
        warnings=(*_without_predictions(run_dir, ended), *warnings),
        trained=0,
    )


def published(run_dir: RunDir, *paths: Path) -> list[str]:
    """Hand reports over to an object store; gives at most one line that says why it cannot be."""
    try:
        run_dir.publish(*paths)
    except OSError as error:
        return [f"the reports are in {run_dir.root} alone: {error.strerror or error}"]
    return []


def _without_predictions(run_dir: RunDir, records: list[TrialRecord]) -> list[str]:
    """At most one line about finished trials whose predictions cannot be read."""
    keys = [
        record.key
        for record in records
        if record.status == "finished" and not _readable(run_dir, run_dir.predictions(record.key))
    ]
    if not keys:
        return []
    more = f" (and {len(keys) - 1} more)" if len(keys) > 1 else ""
    return [
        f"{run_dir.predictions(keys[0])}{more}: missing or damaged, which the table does not need; "
        f"to make it again delete {run_dir.record(keys[0])} and run the experiment again"
    ]


def _readable(run_dir: RunDir, predictions: Path) -> bool:
    """Whether a predictions file ends as a whole one does."""
    if (remote := run_dir.exists_remotely(predictions)) is not None:
        return remote
    try:
        pq.read_metadata(predictions)
    except (OSError, pa.ArrowException):
        return False
    return True


def _unfinished(run_dir: RunDir, trial: PlannedTrial) -> str:
    progress = read_progress(run_dir.progress(trial.key))
    if progress is None:
        return f"{trial.config.title}: not started"
    return f"{trial.config.title}: at epoch {progress['epoch']:.1f} of {progress['epochs']}"


def shown(path: Path | str) -> str:
    """A path as a user would type it: relative to the working directory where it is inside."""
    with suppress(ValueError):
        if is_url(path):
            return str(path)
        return str(Path(path).resolve().relative_to(Path.cwd()))
    return str(path)
