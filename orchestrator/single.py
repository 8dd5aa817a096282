"""One trial in this process, without Ray: the ``train`` command."""

import csv
import json
import os
from pathlib import Path

from omegaconf import OmegaConf
from rich.console import Console
from trainables.models.encoder import check_encoder
from trainables.training.metrics import macro, pooled, scores

from orchestrator.config import SingleTrialConfig, load_single_trial
from orchestrator.environment import describe_environment
from orchestrator.plan import glue_folder, load_tasks, trial_configs
from trainables.atomic import replacing, write_text
from trainables.config import Runtime, TrialConfig
from trainables.errors import ConfigError, RunDirectoryError
from trainables.record import EpochResult, RunLayout, TrialRecord, read_record
from trainables.tracking import check_trackers
from trainables.training.device import resolve_device, resolve_precision
from trainables.trial import Progress, Trial, run_trial


def train(
    arm: str, overrides: list[str], run_dir: Path | None, console: Console
) -> tuple[TrialRecord, RunLayout]:
    """Run one trial of ``arm`` in this process; prints an epoch a line.

    Raises:
        InputError: bad input, before anything is trained.
        TrialError: the trial failed; its record says so.
    """
    single = load_single_trial(arm, overrides)
    check_trackers(single.tracking)
    precision = resolve_precision(single.training.precision, resolve_device(single.device))
    config, glue_dir = single_trial(arm, single)
    layout = RunLayout(run_dir or Path("runs") / "train" / config.key)
    prepare(layout, single)
    runtime = Runtime(
        output_dir=str(layout.root.resolve()),
        device=single.device,
        threads=single.threads or len(os.sched_getaffinity(0)),
        glue_dir=glue_dir,
        cache_dir=single.data.cache_dir,
        tracking=single.tracking,
        wandb=single.wandb,
        resume_from=single.resume_from,
        save_model=single.save_model,
        checkpoint_every=single.checkpoint.every,
    )
    console.print(f"{config.title} ({config.key}), {single.device}, {precision}", markup=False)
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
                f"/{progress['total_steps']}, loss {progress['loss']:.4f}"
            )

        run_trial(config, runtime, report)
    record = read_record(layout.record(config.key))
    if single.log_file is not None:
        append_row(Path(single.log_file), log_row(record))
    return record, layout


def single_trial(arm: str, single: SingleTrialConfig) -> tuple[TrialConfig, str | None]:
    """The trial, and the GLUE folder that its data is read from."""
    strategy = single.define.arms[arm].strategy
    if strategy == "single_task":
        single = single.model_copy(update={"tasks": single.tasks[:1]})
    elif single.task is not None:
        raise ConfigError(f"task={single.task}: {arm} trains on several tasks; use tasks=[...]")
    check_encoder(single.model_config_of(single.model), single.model)
    glue_dir = glue_folder(single.data.glue_dir)
    tasks = load_tasks(single, glue_dir)
    [config] = trial_configs(single, arm, single.model, single.seed, tasks)
    return config, glue_dir


def prepare(layout: RunLayout, single: SingleTrialConfig) -> None:
    """Write what the trial runs on; finds out whether its folders can be written.

    Raises:
        RunDirectoryError: one cannot.
    """
    folder = layout.root
    try:
        write_text(layout.config, OmegaConf.to_yaml(single.model_dump(mode="json")))
        write_text(layout.environment, json.dumps(describe_environment(), indent=1) + "\n")
        if single.log_file is not None:
            folder = Path(single.log_file)
            folder.parent.mkdir(parents=True, exist_ok=True)
            with folder.open("a", encoding="utf-8"):
                pass
    except OSError as error:
        raise RunDirectoryError(f"{folder}: cannot be written ({error.strerror})") from error


def epoch_line(epoch: EpochResult, config: TrialConfig) -> str:
    """An epoch's losses and metrics for the terminal."""
    parts = [f"epoch {epoch.epoch}: train loss {epoch.train_loss:.4f}"]
    for split, results in epoch.splits.items():
        if split == "train":
            continue
        for task, result in results.items():
            named = ", ".join(f"{k} {v:.4f}" for k, v in scores(result.confusion).items())
            parts.append(f"  {split} {task}: {named}")
        if len(results) > 1:
            headlines = [
                scores(result.confusion)[config.tasks[task].headline]
                for task, result in results.items()
            ]
            together = pooled([result.confusion for result in results.values()]) or {}
            named = ", ".join(f"{k} {v:.4f}" for k, v in together.items())
            parts.append(f"  {split} macro {macro(headlines):.4f}; pooled: {named}")
    return "\n".join(parts)


def log_row(record: TrialRecord) -> dict[str, str]:
    """A trial as one row of a log file."""
    config = record.config
    row = {
        "finished": record.finished,
        "key": record.key,
        "arm": config.arm_name,
        "model": config.model_name,
        "tasks": " ".join(config.tasks),
        "seed": str(config.seed),
        "epochs": str(config.training.epochs),
        "batch_size": str(config.training.batch_size),
        "learning_rate": str(config.training.learning_rate),
        "status": record.status,
    }
    for split, results in record.results.items():
        for task, result in results.items():
            for metric, value in scores(result.confusion).items():
                row[f"{split}_{task}_{metric}"] = f"{value:.6f}"
        together = pooled([result.confusion for result in results.values()]) or {}
        row |= {f"{split}_pooled_{metric}": f"{v:.6f}" for metric, v in together.items()}
    return row


def append_row(path: Path, row: dict[str, str]) -> None:
    """Append a row to a CSV file; columns that it lacks are added to it."""
    rows: list[dict[str, str]] = []
    columns: list[str] = []
    if path.exists() and path.stat().st_size:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or [])
            rows = list(reader)
    columns += [column for column in row if column not in columns]
    with (
        replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows([*rows, row])
