"""A run directory: taken for one experiment or one ``train`` command, refused for any other."""

import json
import os
import shutil
import tempfile
from typing import Any

from omegaconf import OmegaConf

from orchestrator.config import RUNTIME_KEYS, ExperimentConfig
from orchestrator.environment import describe_environment
from orchestrator.plan import Config, Plan, PlannedTrial
from orchestrator.resources import TrialResources
from orchestrator.validation import shortened, validated
from search_spaces.reading import read_yaml
from trainables.atomic import read_whole, write_text
from trainables.config import TrialConfig
from trainables.errors import ConfigError, RunDirectoryError
from trainables.record import RunLayout

PLAN_SCHEMA = 1
BYTES_PER_EXAMPLE = 200
"""Upper bound of what one evaluated example takes in a predictions file and a record."""


def take(layout: RunLayout, config: Config, plan: Plan) -> None:
    """Make the run directory, or check that it is this configuration's.

    Raises:
        RunDirectoryError: it belongs to another configuration, cannot be written, or its disk lacks
            the room.
    """
    _writable(layout, _room_needed(config, plan))
    if layout.config.exists():
        _same_configuration(layout, config)
    elif layout.root.is_dir() and any(layout.root.iterdir()):
        raise RunDirectoryError(
            f"{layout.root}: not empty and no run directory (config.yaml is missing); "
            "choose another with --run-dir"
        )
    if layout.plan.exists():
        _same_trials(layout, plan)


def describe(
    layout: RunLayout, experiment: ExperimentConfig, plan: Plan, resources: TrialResources
) -> None:
    """Write the resolved config, the plan and the environment."""
    write_text(layout.config, OmegaConf.to_yaml(experiment.model_dump(mode="json")))
    described = [
        {**trial.describe(resources), "config": trial.config.model_dump(mode="json")}
        for trial in plan.trials
    ]
    content = {"schema_version": PLAN_SCHEMA, "trials": described}
    write_text(layout.plan, json.dumps(content, indent=1) + "\n")
    environment = json.dumps(describe_environment(), indent=1)
    write_text(layout.environment, environment + "\n")


def read_plan(layout: RunLayout) -> list[PlannedTrial]:
    """The planned trials, in the order of the grid.

    Raises:
        RunDirectoryError: the plan is missing or damaged.
    """
    try:
        content = json.loads(read_whole(layout.plan))
        if content["schema_version"] != PLAN_SCHEMA or not content["trials"]:
            raise ValueError("another version, or no trials")
        trials = [
            PlannedTrial(
                TrialConfig.model_validate(trial["config"]),
                int(trial["expected_examples"]),
                float(trial["cost"]),
            )
            for trial in content["trials"]
        ]
        if [trial.key for trial in trials] != [trial["key"] for trial in content["trials"]]:
            raise ValueError("a trial's key is not that of its configuration")
        return trials
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise RunDirectoryError(
            f"{layout.plan}: missing or damaged; delete it and run the experiment again"
        ) from error


def _same_configuration(layout: RunLayout, config: Config) -> None:
    try:
        values = OmegaConf.to_container(read_yaml(layout.config))
        before = validated(type(config), values)
    except ConfigError as error:
        reason = " ".join(str(error).partition(";")[0].split())
        raise RunDirectoryError(
            f"{layout.config}: damaged, or of another command ({reason}); "
            "choose another directory with --run-dir"
        ) from error
    there = before.model_dump(mode="json", exclude=RUNTIME_KEYS)
    here = config.model_dump(mode="json", exclude=RUNTIME_KEYS)
    for key, old, new in _differences(there, here):
        raise RunDirectoryError(
            f"{layout.root}: was made with {key}={shortened(old)}, this is {key}={shortened(new)}; "
            "choose another directory with --run-dir"
        )


def _same_trials(layout: RunLayout, plan: Plan) -> None:
    there = {trial.key for trial in read_plan(layout)}
    if there != {trial.key for trial in plan.trials}:
        raise RunDirectoryError(
            f"{layout.root}: its trials are not this plan's although the configuration is the "
            "same: the data, an encoder's folder or the code has changed since; "
            "choose another directory with --run-dir"
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


def _writable(layout: RunLayout, room: int) -> None:
    try:
        layout.root.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=layout.root, prefix=".probe-") as probe:
            probe.write(bytes(1 << 16))
            probe.flush()
            os.fsync(probe.fileno())
        free = shutil.disk_usage(layout.root).free
    except OSError as error:
        raise RunDirectoryError(
            f"{layout.root}: cannot be written ({error.strerror}); "
            "choose another directory with --run-dir"
        ) from error
    if free < room:
        raise RunDirectoryError(
            f"{layout.root}: its disk has {free / 1e6:.0f} MB left, the experiment needs about "
            f"{room / 1e6:.0f} MB; make room or choose another directory with --run-dir"
        )


def _room_needed(config: Config, plan: Plan) -> int:
    """Bytes that all trials may take: predictions, records and asked-for models."""
    evaluated = sum(
        BYTES_PER_EXAMPLE * len(examples)
        for trial in plan.trials
        for task in trial.config.tasks
        for split, examples in plan.tasks[task].splits.items()
        if split != "train"
    )
    models = 0
    if config.save_models if isinstance(config, ExperimentConfig) else config.save_model:
        models = sum(4 * plan.encoders[t.config.model_name].parameters for t in plan.trials)
    return evaluated + models
