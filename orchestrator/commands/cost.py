"""The ``cost`` command: what the models of each arm cost to deploy."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from orchestrator.commands.report import read_predictions, shown, table_of
from orchestrator.deploy.cost.arms import DeployedArm, deployed_arms
from orchestrator.deploy.cost.measure import measure, steps
from orchestrator.deploy.cost.results import ArmCost, Cost, write_cost
from orchestrator.deploy.cost.texts import sample_texts
from orchestrator.report.table import Table, with_cost
from orchestrator.run_dir.directory import read_glue_dir, read_plan
from orchestrator.run_dir.environment import describe_environment
from orchestrator.run_dir.lock import hold_lock
from orchestrator.run_dir.looks import look_at, planned_looks
from orchestrator.run_dir.remote import opened
from trainables.errors import ConfigError, InputError, RunDirectoryError
from trainables.results.record import read_records
from trainables.storage.run_dir import RunDir

SECONDS = 60.0
"""About how long requests are made."""


@dataclass(frozen=True)
class MeasuredCost:
    """What was measured, and the comparison that it belongs to.

    Attributes:
        cost: the content of ``cost.json``.
        table: of the run directory, with it.
    """

    cost: Cost
    table: Table


def measure_cost(
    where: Path | str,
    *,
    device: str = "auto",
    threads: int | None = None,
    seconds: float = SECONDS,
    console: Console | None = None,
) -> MeasuredCost:
    """Measure what the models of each arm cost to deploy, and write ``cost.json``.

    Of every arm and model the first seed is measured whose trials have finished: with its saved
    weights, or with untrained ones of the same shape where none were saved.

    Args:
        where: the run directory, a path or a URL.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads; None: all CPUs that this process may use.
        seconds: about how long requests are made, of all arms together; loading comes on top.
        console: where progress is shown; None: nowhere.

    Raises:
        ConfigError: an option is out of its range.
        RunDirectoryError: there is no plan, no arm has finished, or a command works there, which
            would spoil the times.
        DataError: the data cannot be read, or is not what the trials were planned with.
        EncoderError: a model's files cannot be read.
        ResourceError: the device cannot be used, or a process died.
    """
    if threads is not None and threads < 1:
        raise ConfigError(f"--threads {threads}: must be 1 or more")
    if not seconds > 0:
        raise ConfigError(f"--seconds {seconds:g}: must be more than 0")
    with opened(where, 0.0) as run_dir:
        if not run_dir.plan.is_file():
            raise RunDirectoryError(f"{shown(where)}: no run directory (plan.json is missing)")
        with hold_lock(run_dir.root):
            cost = _measured(run_dir, device, threads, seconds, console or Console(quiet=True))
            write_cost(run_dir, cost)
            return MeasuredCost(cost, with_cost(_table(run_dir), cost))


def cost_warnings(where: Path | str, console: Console) -> list[str]:
    """Measure after a run; gives at most one line that says why that cannot be done."""
    try:
        measure_cost(where, console=console)
    except InputError as error:
        return [f"the cost was not measured: {error}"]
    return []


def _measured(
    run_dir: RunDir, device: str, threads: int | None, seconds: float, console: Console
) -> Cost:
    trials, records = read_plan(run_dir), read_records(run_dir, {})
    arms, unfinished = deployed_arms(run_dir, trials, records)
    if not arms:
        raise RunDirectoryError(
            f"{shown(run_dir.where)}: no arm has a seed whose trials have all finished; run them "
            "first"
        )
    load = os.getloadavg()[0]
    texts = sample_texts(trials, read_glue_dir(run_dir))
    threads = threads or len(os.sched_getaffinity(0))
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("measuring the cost", total=steps(arms))
        measurement = measure(
            arms,
            texts,
            device=device,
            threads=threads,
            seconds=seconds,
            on_step=lambda: progress.advance(bar),
        )
    return Cost(
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        device=measurement.device,
        threads=threads,
        load_average=round(load, 2),
        environment=describe_environment(),
        texts={task: len(own) for task, own in texts.items()},
        texts_of_example={task: 2 if len(own[0]) == 2 else 1 for task, own in texts.items()},
        tokens=measurement.tokens,
        arms=tuple(map(_arm_cost, arms, measurement.of_arm)),
        deployments=measurement.deployments,
        unfinished=tuple(unfinished),
    )


def _arm_cost(arm: DeployedArm, measured: int) -> ArmCost:
    return ArmCost(
        arm=arm.name,
        label=arm.label,
        tuned=arm.tuned,
        strategy=arm.strategy,
        model=arm.model,
        seed=arm.seed,
        tasks=arm.tasks,
        trials=arm.trials,
        seeds=arm.seeds,
        training_device_seconds=arm.device_seconds,
        measured=measured,
    )


def _table(run_dir: RunDir) -> Table:
    """The comparison as a report would show it; nothing is written."""
    trials, records = read_plan(run_dir), read_records(run_dir, {})
    predictions, _ = read_predictions(run_dir, trials, records, keep=False)
    look = look_at(run_dir, trials, planned_looks(run_dir))
    return table_of(run_dir, trials, records, predictions, look)
