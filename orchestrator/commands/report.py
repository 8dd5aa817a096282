"""Makes results, tables and report of a run directory from its records: the ``report`` command."""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.analysis.looks import Look
from orchestrator.deploy.cost.results import Cost, read_cost
from orchestrator.planning.plan import PlannedTrial
from orchestrator.report.comparisons import Predicted
from orchestrator.report.equal_terms import Tuned
from orchestrator.report.page.page import content_of, write_report
from orchestrator.report.render import FORMATS, write_tables
from orchestrator.report.results import write_results
from orchestrator.report.table import Table, comparison, with_cost
from orchestrator.run_dir.directory import (
    read_data_facts,
    read_margins,
    read_pair_seeds,
    read_plan,
)
from orchestrator.run_dir.looks import look_at, note_look, planned_looks
from orchestrator.run_dir.remote import Where, run_dir_at
from trainables.data.token_cache import READ_ONLY
from trainables.errors import RunDirectoryError
from trainables.garbage import paused_collection
from trainables.results.predictions import Predictions, PredictionsCache
from trainables.results.record import TrialRecord, read_records
from trainables.results.status import TrialStatus
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


def report(where: Where, tuned: Tuned | None = None, *, texts: bool = False) -> Outcome:
    """Make results, tables and report anew from a run directory's records.

    Args:
        where: the run directory.
        tuned: what a search spent on the rows that it tuned; None where that is not known.
        texts: whether the report shows the texts of the examples on which arms disagree, read from
            the data. Never in an object store, to which the page is uploaded.

    Raises:
        RunDirectoryError: there is no plan, or it is damaged.
    """
    run_dir = run_dir_at(where)
    if not run_dir.plan.is_file():
        name = run_dir.url or run_dir.root
        raise RunDirectoryError(f"{name}: no run directory (plan.json is missing)")
    with paused_collection():
        return _report(run_dir, tuned, texts and run_dir.url is None)


def _report(run_dir: RunDir, tuned: Tuned | None, texts: bool) -> Outcome:
    trials = read_plan(run_dir)
    damaged: dict[Path, RunDirectoryError] = {}
    records = read_records(run_dir, damaged)
    predictions, unread = read_predictions(run_dir, trials, records, keep=True)
    look = look_at(run_dir, trials, planned_looks(run_dir))
    table = table_of(run_dir, trials, records, predictions, look, tuned)
    cost, unusable = usable_cost(run_dir, trials)
    table = with_cost(table, cost)
    try:
        write_results(run_dir, records)
        write_tables(run_dir, table)
        content = content_of(run_dir, trials, records, predictions, table.split, texts=texts)
        write_report(run_dir, table, content)
        figures = [path for path in run_dir.figures if path.is_file()]
        written = [run_dir.results, *map(run_dir.table, FORMATS), run_dir.report, *figures]
        if table.look is not None:
            note_look(run_dir, look, trials, records)
            written += [run_dir.looks] if run_dir.looks.exists() else []
        warnings = published(run_dir, *written)
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise
        warnings = [f"{run_dir.root}: cannot be written ({error.strerror}), so no file was"]
    ended = [records[trial.key] for trial in trials if trial.key in records]
    return Outcome(
        table=table,
        failed=tuple(record for record in ended if record.status != "finished"),
        missing=tuple(unfinished(run_dir, trial) for trial in trials if trial.key not in records),
        damaged=tuple(map(str, damaged.values())),
        warnings=(*unread, *unusable, *warnings),
        trained=0,
    )


def table_of(
    run_dir: RunDir,
    trials: Sequence[PlannedTrial],
    records: Mapping[str, TrialRecord],
    predictions: Predicted,
    look: Look,
    tuned: Tuned | None = None,
) -> Table:
    """The table of a run directory, by the margins and the pairing of seeds that it has stored.

    Args:
        run_dir: where these and the facts about the data are read.
        trials, records, predictions, look, tuned: see ``comparison``.

    Raises:
        RunDirectoryError: its configuration is damaged.
    """
    return comparison(
        trials,
        records,
        data=read_data_facts(run_dir),
        predictions=predictions,
        margins=read_margins(run_dir),
        look=look,
        pair_seeds=read_pair_seeds(run_dir),
        tuned=tuned,
    )


def usable_cost(run_dir: RunDir, trials: Sequence[PlannedTrial]) -> tuple[Cost | None, list[str]]:
    """What ``cost`` measured, and at most one line that says why that cannot be used."""
    try:
        return read_cost(run_dir, [trial.key for trial in trials]), []
    except RunDirectoryError as error:
        return None, [str(error)]


def published(run_dir: RunDir, *paths: Path) -> list[str]:
    """Hand reports over to an object store; gives at most one line that says why it cannot be."""
    try:
        run_dir.publish(*paths)
    except OSError as error:
        return [f"the reports are in {run_dir.root} alone: {error.strerror or error}"]
    return []


def read_predictions(
    run_dir: RunDir,
    trials: Sequence[PlannedTrial],
    records: Mapping[str, TrialRecord],
    *,
    keep: bool,
) -> tuple[dict[str, dict[str, Predictions]], list[str]]:
    """The validation predictions of the finished trials, and at most one line about those that
    cannot be read.

    Args:
        run_dir: where they are.
        trials: of the plan.
        records: key -> record.
        keep: whether to keep them in one file of the run directory for the next report.
    """
    cache = PredictionsCache(run_dir)
    predictions, unread = {}, []
    for trial in trials:
        record = records.get(trial.key)
        if record is None or record.status is not TrialStatus.FINISHED:
            continue
        try:
            predictions[trial.key] = cache.read(record)
        except RunDirectoryError:
            unread.append(trial.key)
        except OSError as error:
            # Asked for each of the others, the store would be waited for again.
            return predictions, [
                f"predictions cannot be fetched ({error.strerror or error}), so that intervals and "
                "verdicts leave runs out; report again later"
            ]
    if keep:
        cache.save()
    if not unread:
        return predictions, []
    more = f" (and {len(unread) - 1} more)" if len(unread) > 1 else ""
    return predictions, [
        f"{run_dir.predictions(unread[0])}{more}: missing or damaged, so that intervals and "
        f"verdicts leave it out; to make it again delete {run_dir.record(unread[0])} and run the "
        "experiment again"
    ]


def unfinished(run_dir: RunDir, trial: PlannedTrial) -> str:
    """A trial without a record, and how far it is."""
    progress = read_progress(run_dir.progress(trial.key))
    if progress is None:
        return f"{trial.config.title}: not started"
    return f"{trial.config.title}: at epoch {progress['epoch']:.1f} of {progress['epochs']}"


def next_commands(where: Where, table: Table) -> list[str]:
    """The commands that would settle what is undecided.

    More seeds of the same grid go on in its run directory, anything else in one of its own. None
    for settings that a search found, or where the configuration is in an object store.
    """
    if isinstance(where, str) and is_url(where):
        return []
    run_dir = where if isinstance(where, RunDir) else RunDir(where)
    if run_dir.url is not None or not run_dir.config.is_file():
        return []
    models = {row.model for row in table.rows if not row.baseline}
    commands = []
    for number, answer in enumerate((a for a in table.answers if a.next_step), 1):
        if answer.tuned:
            continue
        overrides = [*answer.next_step, *([f"models=[{answer.model}]"] if len(models) > 1 else [])]
        target = shown(run_dir.root)
        if not all(override.startswith("seeds=") for override in overrides):
            target += f"-next{'' if number == 1 else number}"
        command = ["run", shown(run_dir.config), *overrides, "--run-dir", target]
        commands.append(f"python -m orchestrator {shlex.join(command)}")
    return commands


def shown(path: Path | str) -> str:
    """A path as a user would type it: relative to the working directory where it is inside."""
    with suppress(ValueError):
        if is_url(path):
            return str(path)
        return str(Path(path).resolve().relative_to(Path.cwd()))
    return str(path)
