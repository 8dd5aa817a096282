"""The ``train`` command: one trial on the local executor."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from rich.console import Console
from rich.status import Status

from orchestrator.commands.csv_log import append_row, check_log_file, log_row
from orchestrator.commands.session import open_session
from orchestrator.config.experiment import SingleTrialConfig
from orchestrator.execution.executor import each
from orchestrator.execution.local_executor import LocalExecutor
from orchestrator.execution.stages import expected_of
from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.state import GridProgress
from orchestrator.planning.data_facts import data_facts
from orchestrator.planning.dependencies import upstream_arms
from orchestrator.planning.grid import Grid
from orchestrator.planning.plan import Plan, plan_trial
from orchestrator.planning.scoring import scoring
from orchestrator.report.terminal import print_findings, print_scoring
from orchestrator.run_dir.directory import warn
from orchestrator.run_dir.environment import describe_environment
from trainables.atomic import write_text
from trainables.config.trial import TrialConfig
from trainables.errors import CheckpointError, ConfigError, OneOrManyError, TrialError
from trainables.results.record import EpochResult, TrialRecord, measured, read_record
from trainables.storage.run_dir import RunDir
from trainables.training.checkpoint import verify
from trainables.training.device import resolve_device, resolve_precision
from trainables.trial.trial import Trial


class _EpochPrinter:
    """Prints each epoch of a trial once, and a status line between them."""

    def __init__(self, console: Console, status: Status, config: TrialConfig) -> None:
        self.trial: Trial | None = None
        self._console = console
        self._status = status
        self._config = config
        self._epoch = 0

    def __call__(self, trial: Trial, result: Mapping[str, Any]) -> None:
        """See ``LocalExecutor``; is called after every optimiser step."""
        self.trial = trial
        if trial.loop is None or result["done"]:
            return
        state = trial.loop.state
        if state.history and state.history[-1].step == state.step:
            latest = state.history[-1]
            if latest.epoch > self._epoch:
                self._epoch = latest.epoch
                self._console.print(epoch_line(latest, self._config), markup=False)
        self._status.update(
            f"epoch {result['epoch']:.2f}/{result['epochs']}, step {result['step']}"
            f"/{result['total_steps']}, {result['examples_per_second']:.0f} examples/s"
        )


def train(
    arm: str, single: SingleTrialConfig, where: Path | str | None, console: Console
) -> tuple[TrialRecord, RunDir]:
    """Run one trial of ``arm`` in this process; prints its epochs, and logs it in ``log_file``.

    Args:
        arm: name of the arm.
        single: the validated configuration.
        where: path or URL; None: ``runs/train/KEY``.
        console: where the epochs are printed, each in several lines.

    Returns:
        The record and the run directory.

    Raises:
        InputError: bad input, before anything is trained.
        TrialError: the trial failed or diverged; its record says so.
    """
    device = resolve_device(single.device)
    precision = resolve_precision(single.training.precision, device)
    plan = single_trial(arm, single)
    [planned] = plan.trials
    check(single, plan)
    status = console.status("preparing")
    printer = _EpochPrinter(console, status, planned.config)
    with open_session(
        single,
        where or Path("runs") / "train" / planned.key,
        console,
        plan=plan,
        executor=lambda config: LocalExecutor(config, slice_seconds=0.0, after_step=printer),
    ) as session:
        run_dir = session.run_dir
        resources = session.resources(plan)
        session.check_room(plan, plan.trials, resources)
        write_text(run_dir.config, OmegaConf.to_yaml(session.config.model_dump(mode="json")))
        write_text(run_dir.environment, json.dumps(describe_environment(), indent=1) + "\n")
        title = f"{planned.config.title} ({planned.key}), {device}, {precision}"
        console.print(title, markup=False)
        tasks = planned.config.tasks
        print_scoring(
            console, {name: scoring(task, plan.tasks[name]) for name, task in tasks.items()}
        )
        print_findings(console, plan.facts)
        run_dir.publish(run_dir.config, run_dir.environment)
        # The epochs are printed instead.
        unseen = LiveView(GridProgress([expected_of(planned)]), Console(quiet=True))
        with status, unseen as view:
            session.executor.run(
                each(plan.trials),
                run_dir,
                view,
                resources=resources,
                glue_dir=plan.glue_dir,
                artifacts={},
            )
        _raise_error(printer.trial)
        if printer.trial is not None and (note := printer.trial.progress()["note"]):
            warn(console, note)
    record = read_record(run_dir.record(planned.key))
    if single.log_file is not None:
        append_row(Path(single.log_file), log_row(record))
    return record, run_dir


def _raise_error(trial: Trial | None) -> None:
    """Raise what ended a trial, if it failed or diverged."""
    if trial is None or trial.error is None:
        return
    if isinstance(trial.error, OneOrManyError):
        raise trial.error
    reason = " ".join(str(trial.error).split())
    raise TrialError(
        f"{trial.config.title}: {type(trial.error).__name__}: {reason}"
    ) from trial.error


def single_trial(arm: str, single: SingleTrialConfig) -> Plan:
    """A plan of the one trial.

    Raises:
        InputError: data, an encoder or a combination of settings that cannot be used.
    """
    strategy = single.define.arms[arm].strategy
    if strategy == "single_task":
        single = single.model_copy(update={"tasks": single.tasks[:1]})
    elif single.task is not None:
        raise ConfigError(f"task={single.task}: {arm} trains on several tasks; use tasks=[...]")
    for key, upstream in upstream_arms(single.define.arms[arm]):
        raise ConfigError(
            f"define.arms.{arm}.{key}={upstream}: needs other trials before its own; use run"
        )
    grid = Grid(single)
    encoder = grid.encoder(single.model)
    [config] = grid.trials_of(arm, single.model, single.seed)
    planned = plan_trial(config, grid.tasks_of(arm), encoder)
    facts = data_facts(grid, (arm,), (single.model,))
    return Plan((planned,), grid.tasks, {single.model: encoder}, grid.glue_dir, facts)


def check(single: SingleTrialConfig, plan: Plan) -> None:
    """Check what the trial uses besides its run directory and the token cache.

    Raises:
        InputError: the log file or the checkpoint cannot be used.
    """
    if single.resume_from is not None:
        try:
            verify(Path(single.resume_from), plan.trials[0].key)
        except CheckpointError as error:
            raise ConfigError(f"resume_from={error}") from error
    if single.log_file is not None:
        check_log_file(Path(single.log_file))


def epoch_line(epoch: EpochResult, config: TrialConfig) -> str:
    """An epoch's losses and metrics for the terminal."""
    lines = [f"epoch {epoch.epoch}: train loss {epoch.train_loss:.4f}"]
    for split, results in epoch.splits.items():
        for name, metrics in measured(results, config.tasks).items():
            named = ", ".join(
                f"{metric} {'n/a' if value is None else f'{value:.4f}'}"
                for metric, value in metrics.items()
            )
            lines.append(f"  {split} {name}: {named}")
    return "\n".join(lines)
