"""One trial in this process, without Ray: the ``train`` command."""

import json
from pathlib import Path

from omegaconf import OmegaConf
from rich.console import Console

from orchestrator.commands.csv_log import append_row, check_log_file, log_row
from orchestrator.config.experiment import SingleTrialConfig, load_single_trial
from orchestrator.execution.tracking import tracked
from orchestrator.planning.dependencies import forerunners
from orchestrator.planning.disk import check_room, disk_use
from orchestrator.planning.grid import Grid
from orchestrator.planning.plan import Plan, check_model, plan_trial
from orchestrator.planning.resources import cores
from orchestrator.run_dir.directory import taken, warn
from orchestrator.run_dir.environment import describe_environment
from orchestrator.run_dir.remote import opened
from trainables.atomic import write_text
from trainables.config.trial import Runtime, TrialConfig
from trainables.data.token_cache import check_cache_dir
from trainables.errors import CheckpointError, ConfigError, OneOrManyError, TrialError
from trainables.results.record import EpochResult, TrialRecord, measured, read_record
from trainables.storage.run_dir import RunDir
from trainables.training.checkpoint import verify
from trainables.training.device import resolve_device, resolve_precision
from trainables.trial.progress import Progress
from trainables.trial.trial import Trial, run_trial


def train(
    arm: str, overrides: list[str], run_dir: Path | str | None, console: Console
) -> tuple[TrialRecord, RunDir]:
    """Run one trial of ``arm`` in this process; prints an epoch a line.

    Raises:
        InputError: bad input, before anything is trained.
        TrialError: the trial failed; its record says so.
    """
    single = load_single_trial(arm, overrides)
    device = resolve_device(single.device)
    precision = resolve_precision(single.training.precision, device)
    plan = single_trial(arm, single)
    config = plan.trials[0].config
    check(single, plan)
    where = run_dir or Path("runs") / "train" / config.key
    with (
        opened(where, single.checkpoint.storage_timeout) as layout,
        tracked(single, layout.root, console) as single,
        taken(layout, single, plan, console),
    ):
        check_room(layout, disk_use(single, plan, plan.trials, 1))
        write_text(layout.config, OmegaConf.to_yaml(single.model_dump(mode="json")))
        write_text(layout.environment, json.dumps(describe_environment(), indent=1) + "\n")
        console.print(f"{config.title} ({config.key}), {device}, {precision}", markup=False)
        layout.publish(layout.config, layout.environment)
        _run(config, runtime_of(single, layout, plan), console)
        layout.fetch(layout.record(config.key))
    record = read_record(layout.record(config.key))
    if single.log_file is not None:
        append_row(Path(single.log_file), log_row(record))
    return record, layout


def runtime_of(single: SingleTrialConfig, layout: RunDir, plan: Plan) -> Runtime:
    """Where the trial runs."""
    return Runtime(
        output_dir=str(layout.root.resolve()),
        store=layout.url,
        device=single.device,
        threads=single.threads or cores(),
        glue_dir=plan.glue_dir,
        cache_dir=single.data.cache_dir,
        tracking=single.tracking,
        resume_from=single.resume_from,
        save_model=single.save_model,
        checkpoint_every=single.checkpoint.every,
        # The checkpoint that the user names may be one of the trial's own.
        keep_checkpoints=single.checkpoint.keep or single.resume_from is not None,
        patience=single.checkpoint.storage_timeout,
    )


def _run(config: TrialConfig, runtime: Runtime, console: Console) -> None:
    with console.status("preparing") as status:

        def report(trial: Trial, progress: Progress) -> None:
            loop = trial.loop
            if (
                loop is not None
                and loop.state.history
                and loop.state.step == (loop.state.history[-1].step)
            ):
                console.print(epoch_line(loop.state.history[-1], config), markup=False)
            status.update(
                f"epoch {progress['epoch']:.2f}/{progress['epochs']}, step {progress['step']}"
                f"/{progress['total_steps']}, {progress['examples_per_second']:.0f} examples/s"
            )

        try:
            trial = run_trial(config, runtime, report)
        except OneOrManyError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split())
            raise TrialError(f"{config.title}: {type(error).__name__}: {reason}") from error
    if note := trial.progress()["note"]:
        warn(console, note)


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
    for key, forerunner in forerunners(single.define.arms[arm]):
        raise ConfigError(
            f"define.arms.{arm}.{key}={forerunner}: needs other trials before its own; use run"
        )
    encoder = check_model(single, "model", single.model)
    grid = Grid(single)
    [config] = grid.trials_of(arm, single.model, single.seed)
    planned = plan_trial(config, grid.tasks_of(arm), encoder)
    return Plan((planned,), grid.tasks, {single.model: encoder}, grid.glue_dir)


def check(single: SingleTrialConfig, plan: Plan) -> None:
    """Check all that the trial is to use besides its run directory.

    Raises:
        InputError: the log file, the token cache or the checkpoint cannot be used.
    """
    if single.resume_from is not None:
        try:
            verify(Path(single.resume_from), plan.trials[0].key)
        except CheckpointError as error:
            raise ConfigError(f"resume_from={error}") from error
    check_cache_dir(single.data.cache_dir)
    if single.log_file is not None:
        check_log_file(Path(single.log_file))


def epoch_line(epoch: EpochResult, config: TrialConfig) -> str:
    """An epoch's losses and metrics for the terminal."""
    lines = [f"epoch {epoch.epoch}: train loss {epoch.train_loss:.4f}"]
    for split, results in epoch.splits.items():
        for name, metrics in measured(results, config.tasks).items():
            named = ", ".join(f"{metric} {value:.4f}" for metric, value in metrics.items())
            lines.append(f"  {split} {name}: {named}")
    return "\n".join(lines)
