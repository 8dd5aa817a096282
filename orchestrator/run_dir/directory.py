"""Prepares a run directory for one configuration and refuses any other."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from pydantic_core import from_json
from rich.console import Console

from orchestrator.config.experiment import ExperimentConfig
from orchestrator.config.stored import upgraded
from orchestrator.planning.data_facts import DataFacts
from orchestrator.planning.dependencies import arms_of_all_seeds
from orchestrator.planning.grid import Config, glue_folder
from orchestrator.planning.plan import Plan, PlannedTrial
from orchestrator.planning.resources import TrialResources
from orchestrator.run_dir.environment import describe_environment
from orchestrator.run_dir.lock import GUARD, LOCK, hold_lock, storage_time
from orchestrator.run_dir.looks import describe, look_at, note_look, planned_looks
from orchestrator.run_dir.resource_choices import write_choices
from orchestrator.text import plain
from search_spaces.yaml_files import read_yaml
from trainables.atomic import read_whole, write_text
from trainables.config.explain import shortened, validated
from trainables.config.trial import CODE_SCHEMA, TrialConfig
from trainables.errors import ConfigError, RunDirectoryError
from trainables.garbage import paused_collection
from trainables.results.record import TrialRecord, read_records
from trainables.storage.run_dir import PROBE, RunDir

PLAN_SCHEMA = 1


@contextmanager
def lock_run_dir(
    run_dir: RunDir, config: Config, plan: Plan | None, console: Console
) -> Iterator[dict[str, TrialRecord]]:
    """Lock the run directory for this configuration; yields the records that it holds.

    Files that a crash left are removed, and damaged ones are moved aside.

    Args:
        run_dir: the run directory, which is created if it is missing.
        config: the experiment or single trial.
        plan: its trials; None if they are not known yet, and may be others than last time.
        console: prints one line for each damaged file.

    Raises:
        RunDirectoryError: it is in use, belongs to another configuration or cannot be written.
    """
    _check_writable(run_dir)
    # Checked before the lock is taken, so that a folder of other files stays as it is.
    _check_ours(run_dir, config)
    with hold_lock(run_dir.root):
        for line in take(run_dir, config, plan):
            warn(console, line)
        # A checkpoint that the user names may lie here.
        keep = config.checkpoint.keep or getattr(config, "resume_from", None) is not None
        records = sound_records(run_dir, console, keep=keep)
        if isinstance(config, ExperimentConfig):
            _note_former_look(run_dir, config, records)
        yield records


def _note_former_look(
    run_dir: RunDir, config: ExperimentConfig, records: dict[str, TrialRecord]
) -> None:
    """Remember a verdict by another rule of seeds, whose place this configuration takes."""
    if run_dir.plan.exists() and (planned := planned_looks(run_dir)) != config.looks:
        trials = read_plan(run_dir)
        note_look(run_dir, look_at(run_dir, trials, planned), trials, records)
        if run_dir.looks.exists():
            run_dir.publish(run_dir.looks)


def sound_records(run_dir: RunDir, console: Console, *, keep: bool) -> dict[str, TrialRecord]:
    """The records of a run directory whose lock is held by the caller.

    Files that a crash left are removed, and damaged ones are moved aside.

    Args:
        run_dir: the run directory.
        console: prints one line for each damaged file.
        keep: whether the checkpoints of trials that have ended stay.
    """
    # Imports torch, which takes seconds that a report saves.
    from trainables.trial.cleanup import clean_up

    damaged: dict[Path, RunDirectoryError] = {}
    records = read_records(run_dir, damaged)
    for path, error in damaged.items():
        reason = str(error).rpartition("; ")[0]
        moved = _set_aside(run_dir, path)
        warn(console, f"{reason}; moved to {moved}, its trial is trained again")
    clean_up(run_dir, records.values(), keep=keep, now=storage_time(run_dir.root))
    return records


def warn(console: Console, line: str) -> None:
    """Print a warning as one line."""
    console.print(f"warning: {plain(line)}", markup=False, highlight=False, soft_wrap=True)


def take(run_dir: RunDir, config: Config, plan: Plan | None) -> list[str]:
    """Create the run directory, or check that it was made with this configuration.

    Returns:
        A line for each damaged file; it is moved aside, and ``write_metadata`` writes it anew.

    Raises:
        RunDirectoryError: it belongs to another configuration or cannot be written.
    """
    _check_writable(run_dir)
    _check_ours(run_dir, config)
    if not run_dir.plan.exists():
        return []
    try:
        trials = read_plan(run_dir)
    except RunDirectoryError:
        return [f"{run_dir.plan}: damaged; moved to {_set_aside(run_dir, run_dir.plan)}, made anew"]
    if any(trial.config.code_schema != CODE_SCHEMA for trial in trials):
        raise other_numbers(run_dir)
    if isinstance(config, ExperimentConfig):
        _check_seeds(run_dir, tuple(dict.fromkeys(t.config.seed for t in trials)), config)
    if plan is not None and not {t.key for t in trials} <= {t.key for t in plan.trials}:
        raise RunDirectoryError(
            f"{run_dir.root}: its trials are not this plan's although the configuration is the "
            "same: the data, what checks.shared_texts and shared_across_tasks drop, an encoder's "
            "folder or the code has changed since; "
            "choose another directory with --run-dir"
        )
    return []


def other_numbers(run_dir: RunDir) -> RunDirectoryError:
    """The error for going on with trials of a version whose code gives other numbers."""
    return RunDirectoryError(
        f"{run_dir.root}: was made by a version of this project whose trials give other numbers; "
        "report and watch show it, but nothing more can be trained in it: choose another directory "
        "with --run-dir"
    )


def write_metadata(
    run_dir: RunDir, experiment: ExperimentConfig, plan: Plan, resources: TrialResources
) -> None:
    """Write, and upload to an object store, the resolved config, the plan and the environment."""
    write_config(run_dir, experiment)
    trials = [
        {**trial.describe(resources), "config": trial.config.model_dump(mode="json")}
        for trial in plan.trials
    ]
    content: dict[str, Any] = {"schema_version": PLAN_SCHEMA, "trials": trials}
    look = look_at(run_dir, plan.trials, experiment.looks)
    if len(look.all) > 1:
        content["look"] = describe(look)
    if plan.facts is not None:
        content["data"] = plan.facts.model_dump(mode="json")
    write_text(run_dir.plan, json.dumps(content, indent=1) + "\n")
    environment = json.dumps(describe_environment(), indent=1)
    write_text(run_dir.environment, environment + "\n")
    run_dir.publish(run_dir.plan, run_dir.environment)
    write_choices(run_dir, resources)


def write_config(run_dir: RunDir, config: Config) -> None:
    """Write the resolved config, by which the directory is known to belong to it."""
    write_text(run_dir.config, OmegaConf.to_yaml(config.model_dump(mode="json")))
    run_dir.publish(run_dir.config)


def read_plan(run_dir: RunDir) -> list[PlannedTrial]:
    """The planned trials, in the order of the grid.

    Raises:
        RunDirectoryError: the plan is missing or damaged.
    """
    try:
        content = from_json(read_whole(run_dir.plan))
        if content["schema_version"] != PLAN_SCHEMA or not content["trials"]:
            raise ValueError("another version, or no trials")
        configs: dict[bytes, TrialConfig] = {}
        with paused_collection():
            trials = [
                PlannedTrial(
                    TrialConfig.model_validate(trial["config"], context=configs),
                    int(trial["expected_examples"]),
                    float(trial["cost"]),
                )
                for trial in content["trials"]
            ]
        if [trial.key for trial in trials] != [trial["key"] for trial in content["trials"]]:
            raise ValueError("a trial's key is not that of its configuration")
        return trials
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise RunDirectoryError(
            f"{run_dir.plan}: missing or damaged; delete it and run the experiment again"
        ) from error


def read_data_facts(run_dir: RunDir) -> DataFacts | None:
    """What the plan says of the tasks' data; None in a run directory of an earlier version.

    Raises:
        RunDirectoryError: the plan is missing or damaged.
    """
    try:
        content = from_json(read_whole(run_dir.plan)).get("data")
        return None if content is None else DataFacts.model_validate(content)
    except (OSError, ValueError, AttributeError) as error:
        raise RunDirectoryError(
            f"{run_dir.plan}: missing or damaged; delete it and run the experiment again"
        ) from error


def read_margins(run_dir: RunDir) -> dict[str, float]:
    """The margins that the experiment was made with, as fractions; empty where it has none.

    Raises:
        RunDirectoryError: its configuration is damaged.
    """
    margins = _setting(run_dir, "margins") or {}
    try:
        return {str(name): float(points) / 100 for name, points in margins.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise _damaged_config(run_dir) from error


def read_pair_seeds(run_dir: RunDir) -> bool:
    """Whether the experiment was made to pair the seeds of its arms.

    Raises:
        RunDirectoryError: its configuration is damaged.
    """
    paired = _setting(run_dir, "pair_seeds")
    if not isinstance(paired, bool | None):
        raise _damaged_config(run_dir)
    return bool(paired)


def read_glue_dir(run_dir: RunDir) -> str | None:
    """The GLUE folder of the experiment, else of the environment; None without one.

    Raises:
        RunDirectoryError: its configuration is damaged.
    """
    try:
        return glue_folder((_setting(run_dir, "data") or {}).get("glue_dir"))
    except (AttributeError, TypeError) as error:
        raise _damaged_config(run_dir) from error


def _setting(run_dir: RunDir, key: str) -> Any:
    """A value of the stored configuration; None where there is none.

    Raises:
        RunDirectoryError: it is damaged.
    """
    if not run_dir.config.is_file():
        return None
    try:
        return read_yaml(run_dir.config).get(key)
    except (ConfigError, AttributeError) as error:
        raise _damaged_config(run_dir) from error


def _damaged_config(run_dir: RunDir) -> RunDirectoryError:
    return RunDirectoryError(
        f"{run_dir.config}: damaged; run the experiment again, which writes it anew"
    )


def read_environment(run_dir: RunDir) -> dict[str, Any]:
    """What the trials ran on, see ``environment.py``; empty where the file is missing or damaged,
    since no number depends on it."""
    try:
        content = from_json(read_whole(run_dir.environment))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _same_configuration(run_dir: RunDir, config: Config) -> None:
    try:
        before = validated(type(config), upgraded(read_yaml(run_dir.config)))
    except ConfigError as error:
        reason = " ".join(str(error).partition(";")[0].split())
        raise RunDirectoryError(
            f"{run_dir.config}: damaged, or of another command ({reason}); "
            "choose another directory with --run-dir"
        ) from error
    for key, old, new in _differences(_compared(before), _compared(config)):
        raise RunDirectoryError(
            f"{run_dir.root}: was made with {key}={shortened(old)}, this is "
            f"{key}={shortened(new)}; choose another directory with --run-dir"
        )
    if isinstance(before, ExperimentConfig) and isinstance(config, ExperimentConfig):
        _check_seeds(run_dir, before.rounds[0], config)


def _check_seeds(run_dir: RunDir, before: tuple[int, ...], config: ExperimentConfig) -> None:
    """Check that no seed of ``before`` is left out: others may be added after them."""
    if config.all_seeds[: len(before)] != before:
        raise RunDirectoryError(
            f"{run_dir.root}: was made with seeds={list(before)}, this is "
            f"seeds={shortened(list(config.all_seeds))}; choose another directory with --run-dir, "
            "or add seeds after those that are there"
        )
    if len(config.all_seeds) > len(before):
        for arm in arms_of_all_seeds(config):
            raise RunDirectoryError(
                f"{run_dir.root}: was made with seeds={list(before)}, and trials of arm {arm} "
                "learn from those of all seeds (distillation.seeds=all), so that seeds cannot be "
                "added; choose another directory with --run-dir"
            )


def _compared(config: Config) -> dict[str, Any]:
    """What must be the same in one run directory; the catalogue may have got other tasks since."""
    values = config.model_dump(mode="json", exclude=config.runtime_keys())
    values.pop("seeds", None)  # See ``_check_seeds``.
    tasks = values["define"]["tasks"]
    values["define"]["tasks"] = {name: tasks[name] for name in config.task_configs()}
    return values


def _set_aside(run_dir: RunDir, path: Path) -> Path:
    """Move a damaged file to where nothing reads it, under a name that is free there."""
    run_dir.damaged.mkdir(exist_ok=True)
    number = 0
    target = run_dir.damaged / path.name
    while target.exists():
        number += 1
        target = run_dir.damaged / f"{path.stem}.{number}{path.suffix}"
    path.rename(target)
    run_dir.publish(target)
    run_dir.publish_removal(path)
    return target


def _check_ours(run_dir: RunDir, config: Config) -> None:
    """Check that the directory is empty or was made with this configuration."""
    if run_dir.config.exists():
        _same_configuration(run_dir, config)
    elif any(
        path.name not in (LOCK, GUARD) and not path.name.startswith(PROBE)
        for path in run_dir.root.iterdir()
    ):
        raise RunDirectoryError(
            f"{run_dir.root}: not empty and no run directory (config.yaml is missing); "
            "choose another with --run-dir"
        )


def _differences(old: Any, new: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            difference
            for key in sorted(old.keys() | new.keys())
            for difference in _differences(
                old.get(key), new.get(key), f"{path}.{key}" if path else key
            )
        ]
    return [] if old == new else [(path, old, new)]


def _check_writable(run_dir: RunDir) -> None:
    """Create the directory if it is missing, and check that files can be written in it."""
    try:
        run_dir.root.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=run_dir.root, prefix=PROBE) as probe:
            probe.write(bytes(1 << 16))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise RunDirectoryError(
            f"{run_dir.root}: cannot be written ({error.strerror}); "
            "choose another directory with --run-dir"
        ) from error
