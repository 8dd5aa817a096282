"""Runs a plan: all its seeds at once, or round by round until the verdict is decided."""

from collections.abc import Container
from dataclasses import replace
from typing import TypeVar

from rich.console import Console

from orchestrator.commands.report import report
from orchestrator.commands.session import Session
from orchestrator.config.experiment import ExperimentConfig
from orchestrator.execution.stages import run_stages
from orchestrator.planning.pending import clear_artifacts, trials_to_run
from orchestrator.planning.plan import Plan
from orchestrator.report.table import Table
from orchestrator.run_dir.directory import read_plan, write_config, write_metadata
from orchestrator.run_dir.looks import describe, look_at
from orchestrator.text import plain
from trainables.results.record import read_records
from trainables.storage.run_dir import RunDir

AnyExperiment = TypeVar("AnyExperiment", bound=ExperimentConfig)


def rounds_left(config: ExperimentConfig, plan: Plan, records: Container[str]) -> list[Plan]:
    """The plans of the looks that are to come, each with the trials of those before it.

    A look is over when a trial of a later one has a record, so that an interrupted run goes on
    where it was; before that, its verdict is made again, which the same records decide alike.

    Args:
        config: the grid.
        plan: with all its seeds.
        records: keys of the trials that have ended.
    """
    rounds = config.rounds
    begun = {trial.config.seed for trial in plan.trials if trial.key in records}
    over = [seeds for seeds in rounds if begun - set(seeds)]
    return [plan.of_seeds(seeds) for seeds in rounds[len(over) :]]


def run_rounds(session: Session[AnyExperiment], plan: Plan, title: str = "") -> int:
    """Run the trials of a plan that have not finished, after those that they need.

    Of seeds in rounds, those of the next round follow where the verdict is not decided by the
    records of the last.

    Args:
        session: the run directory.
        plan: all trials, with all seeds, finished ones included.
        title: printed with the number of trials before they start, unless it is empty.

    Returns:
        How many trials were run.

    Raises:
        InputError: nodes, data or the disk do not suffice; nothing more has been trained.
        KeyboardInterrupt: interrupted; finished trials are kept.
    """
    run_dir, console = session.run_dir, session.console
    if run_dir.config.exists():
        # Seeds may have been added; all else is the same.
        write_config(run_dir, session.config)
    trained = 0
    parts = rounds_left(session.config, plan, session.records)
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        trained += _run_round(session, part, plan, title)
        if following is not None:
            table = report(run_dir).table
            if not _goes_on(table, following, console):
                break
            session = replace(session, records=read_records(run_dir, {}))
    return trained


def _goes_on(table: Table, following: Plan, console: Console) -> bool:
    """Whether the next round is trained; prints why."""
    look = table.look
    goes_on = look is not None and look.goes_on
    left = "nothing could be compared" if look is None else look.left
    where = "" if look is None else f"look {look.number} of {look.of} ({look.seeds} seeds): "
    seeds = len({trial.config.seed for trial in following.trials})
    then = f"; going on with {seeds} seeds" if goes_on else ""
    console.print(plain(f"{where}{left}{then}"), markup=False, highlight=False, soft_wrap=True)
    return goes_on


def _run_round(session: Session[AnyExperiment], part: Plan, whole: Plan, title: str) -> int:
    """Run the trials of a round; the executor is asked for nothing if there are none and the run
    directory has this plan."""
    run_dir, console = session.run_dir, session.console
    waiting = trials_to_run(run_dir, part.longest_first(), session.records)
    if waiting or not _has_plan(run_dir, part):
        # Of all rounds, so that every trial has the same threads.
        resources = session.resources(whole)
        session.executor.check(run_dir, waiting, part.glue_dir)
        session.check_room(part, waiting, resources)
        write_metadata(run_dir, session.config, part, resources)
        look = look_at(run_dir, part.trials, session.config.looks)
        name = describe(look) if len(look.all) > 1 else ""
        if waiting:
            line = ", ".join(filter(None, (title, name)))
            if line:
                console.print(f"{line}: {len(waiting)} trials", markup=False)
            run_stages(waiting, part, run_dir, session.executor, resources, console, name)
    if not session.config.checkpoint.keep:
        clear_artifacts(run_dir, part.trials, read_records(run_dir, {}))
    return len(waiting)


def _has_plan(run_dir: RunDir, plan: Plan) -> bool:
    if not run_dir.plan.exists():
        return False
    return {trial.key for trial in read_plan(run_dir)} == {trial.key for trial in plan.trials}
