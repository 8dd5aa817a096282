"""The ``compare`` command: several run directories as one table, with one verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.commands.report import Outcome, read_predictions, unfinished
from orchestrator.planning.plan import PlannedTrial
from orchestrator.report.merge import Source, merge
from orchestrator.report.render import write_tables
from orchestrator.report.results import write_results
from orchestrator.report.table import comparison
from orchestrator.run_dir.directory import (
    read_data_facts,
    read_environment,
    read_margins,
    read_pair_seeds,
    read_plan,
)
from orchestrator.run_dir.looks import look_at, planned_looks
from orchestrator.run_dir.remote import Where, run_dir_at
from trainables.config.explain import nearest
from trainables.errors import ConfigError, RunDirectoryError
from trainables.garbage import paused_collection
from trainables.results.predictions import Predictions
from trainables.results.record import MACRO, read_records
from trainables.results.status import TrialStatus
from trainables.storage.object_store import is_url
from trainables.storage.run_dir import RunDir


def compare(
    wheres: Sequence[Where],
    out: Path | str | None = None,
    margins: Mapping[str, float] | None = None,
) -> Outcome:
    """Compare the arms of several run directories as if they were of one grid.

        compare(["runs/quick", "runs/more-seeds"], out="runs/both").table

    Nothing is written into the run directories, which may still be running. Where a cell gets seeds
    from more than one of them, it is looked at again, and verdicts allow a smaller error.

    Args:
        wheres: two or more run directories, paths or URLs.
        out: the folder for ``results.csv`` and ``table.*``; None: no file is written.
        margins: task or ``macro`` -> points, in place of the stored margins.

    Raises:
        ConfigError: what is to be compared differs in its data, protocol, margins or results.
        RunDirectoryError: a run directory cannot be used, or ``out`` is one.
    """
    names = [where.where if isinstance(where, RunDir) else str(where) for where in wheres]
    run_dirs = [run_dir_at(where) for where in wheres]
    _check(names, run_dirs)
    folder = None if out is None else _folder(out, run_dirs)
    with paused_collection():
        return _compare(names, run_dirs, folder, _fractions(margins or {}))


def _compare(
    names: Sequence[str], run_dirs: Sequence[RunDir], out: Path | None, margins: dict[str, float]
) -> Outcome:
    damaged: dict[Path, RunDirectoryError] = {}
    sources, missing, unread = [], [], []
    predictions: dict[str, dict[str, Predictions]] = {}
    for name, run_dir in zip(names, run_dirs, strict=True):
        source = _source(name, run_dir, damaged)
        sources.append(source)
        own, lines = read_predictions(run_dir, source.trials, source.records, keep=False)
        predictions |= own
        unread += lines
        missing += [
            (trial.key, f"{name}: {unfinished(run_dir, trial)}")
            for trial in source.trials
            if trial.key not in source.records
        ]
    _check_scopes(margins, [trial for source in sources for trial in source.trials])
    merged = merge(sources, margins)
    table = comparison(
        merged.trials,
        merged.records,
        data=merged.data,
        predictions=predictions,
        margins=merged.margins,
        look=merged.look,
        pair_seeds=merged.pair_seeds,
    )
    table = replace(table, header=(*merged.header, *table.header))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        target = RunDir(out)
        write_results(target, merged.records, merged.origins)
        write_tables(target, table)
    return Outcome(
        table=table,
        failed=tuple(r for r in merged.records.values() if r.status is not TrialStatus.FINISHED),
        missing=tuple(line for key, line in missing if key not in merged.records),
        damaged=tuple(map(str, damaged.values())),
        warnings=(*unread, *merged.warnings),
        trained=0,
    )


def _source(name: str, run_dir: RunDir, damaged: dict[Path, RunDirectoryError]) -> Source:
    trials = read_plan(run_dir)
    return Source(
        name=name,
        trials=trials,
        records=read_records(run_dir, damaged),
        margins=read_margins(run_dir),
        data=read_data_facts(run_dir),
        environment=read_environment(run_dir),
        look=look_at(run_dir, trials, planned_looks(run_dir)),
        pair_seeds=read_pair_seeds(run_dir),
    )


def _check(names: Sequence[str], run_dirs: Sequence[RunDir]) -> None:
    """Raises ConfigError or RunDirectoryError: too few, one twice, or one that is none."""
    if len(run_dirs) < 2:
        raise ConfigError("compare needs two or more run directories; one alone: report RUN_DIR")
    known: dict[str, str] = {}
    for name, run_dir in zip(names, run_dirs, strict=True):
        if known.setdefault(run_dir.where, name) is not name or names.count(name) > 1:
            raise ConfigError(f"{name}: is there twice; name each run directory once")
        if not run_dir.plan.is_file():
            raise RunDirectoryError(f"{name}: no run directory (plan.json is missing)")


def _folder(out: Path | str, run_dirs: Sequence[RunDir]) -> Path:
    """The folder to write into; raises ConfigError or RunDirectoryError if it cannot be."""
    if is_url(out):
        raise ConfigError(f"--out {out}: must be a folder of this machine")
    folder = Path(out)
    made = RunDir(folder)
    inside = any(folder.resolve().is_relative_to(own.root.resolve()) for own in run_dirs)
    if inside or any(path.exists() for path in (made.plan, made.config, made.records)):
        raise RunDirectoryError(
            f"--out {out}: is a run directory or inside one, which stays as it is; choose "
            "another folder"
        )
    if folder.exists() and not folder.is_dir():
        raise RunDirectoryError(f"--out {out}: is a file; choose a folder")
    return folder


def _check_scopes(margins: Mapping[str, float], trials: Sequence[PlannedTrial]) -> None:
    scopes = list(dict.fromkeys([*(t for trial in trials for t in trial.config.tasks), MACRO]))
    for scope in margins:
        if scope not in scopes:
            raise ConfigError(f"margins.{scope}: is no task of these grids{nearest(scope, scopes)}")


def _fractions(margins: Mapping[str, float]) -> dict[str, float]:
    for scope, points in margins.items():
        if not 0 < points < 100:
            raise ConfigError(f"margins.{scope}={points:g}: must be above 0 and below 100 points")
    return {scope: points / 100 for scope, points in margins.items()}


def margins_and_places(words: Sequence[str]) -> tuple[dict[str, float], list[str]]:
    """Tell ``margins.NAME=POINTS`` from run directories among the words of a command line.

    Raises:
        ConfigError: a margin is no number.
    """
    margins, places = {}, []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.startswith("margins."):
            places.append(word)
            continue
        try:
            margins[key.removeprefix("margins.")] = float(value)
        except ValueError:
            raise ConfigError(f"{word}: a margin is a number of points") from None
    return margins, places
