"""The grid as a list: every trial that a preset and its overrides expand to.

Planning reads all data and looks at every encoder, so bad input is found before anything runs.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.config import ExperimentConfig, SingleTrialConfig
from orchestrator.resources import TrialResources
from orchestrator.stages import start_of, teachers_of, with_forerunners
from trainables.config import ModelConfig, NaiveConcatArm, TrialConfig
from trainables.data.sources import choose_source, load_task
from trainables.data.task import TaskConfig, TaskData
from trainables.errors import ConfigError, EncoderError
from trainables.models.encoder import EncoderInfo, check_encoder

Config = ExperimentConfig | SingleTrialConfig


@dataclass(frozen=True)
class PlannedTrial:
    """A trial before it runs.

    Attributes:
        config: all that decides its numbers.
        expected_examples: training examples that it will see (in expectation, where sampled).
        cost: expected work, comparable among the trials of one plan.
    """

    config: TrialConfig
    expected_examples: int
    cost: float

    @property
    def key(self) -> str:
        """See ``TrialConfig.key``."""
        return self.config.key

    def describe(self, resources: TrialResources) -> dict[str, Any]:
        """The trial as plain values, for ``plan --json`` and the run directory."""
        return {
            "key": self.key,
            "title": self.config.title,
            "arm": self.config.arm_name,
            "strategy": self.config.arm.strategy,
            "model": self.config.model_name,
            "tasks": list(self.config.tasks),
            "seed": self.config.seed,
            "resources": {"cpu": resources.cpu, "gpu": resources.gpu},
            "expected_examples": self.expected_examples,
            "cost": self.cost,
        }


@dataclass(frozen=True)
class Plan:
    """All trials, in the order of the grid, and what they stand on."""

    trials: tuple[PlannedTrial, ...]
    tasks: dict[str, TaskData]
    encoders: dict[str, EncoderInfo]
    glue_dir: str | None

    def longest_first(self) -> list[PlannedTrial]:
        """The order of starting: what takes longest must not start last."""
        return sorted(self.trials, key=lambda trial: -trial.cost)


def make_plan(experiment: ExperimentConfig) -> Plan:
    """Expand the grid.

    Raises:
        InputError: data, an encoder or a combination of settings that cannot be used.
    """
    glue_dir = glue_folder(experiment.data.glue_dir)
    tasks = load_tasks(experiment, glue_dir)
    encoders = {name: check_model(experiment, "models", name) for name in experiment.models}
    trials = [
        plan_trial(config, tasks, encoders[model])
        for arm in with_forerunners(experiment)
        for model in experiment.models
        for seed in experiment.seeds
        for config in trial_configs(experiment, arm, model, seed, tasks)
    ]
    return Plan(tuple(trials), tasks, encoders, glue_dir)


def check_model(config: Config, key: str, name: str) -> EncoderInfo:
    """Check the encoder called ``name`` under ``key``.

    Raises:
        EncoderError: it cannot be trained; names the key that the user wrote.
    """
    try:
        return check_encoder(config.model_config_of(name), name)
    except EncoderError as error:
        # A name without a definition stands for its own encoder.
        own = f"define.models.{name}.encoder="
        if name in config.define.models or not str(error).startswith(own):
            raise
        raise EncoderError(f"{key}: {str(error).removeprefix(own)}") from error


def load_tasks(config: Config, glue_dir: str | None) -> dict[str, TaskData]:
    """All tasks' data, as every trial will see it."""
    fraction = config.selection.carved(config.training)
    return {
        name: load_task(
            name,
            task,
            choose_source(name, task, config.data.source, glue_dir),
            glue_dir=glue_dir,
            limits=config.limits,
            selection_fraction=fraction,
        )
        for name, task in absolute(config.task_configs()).items()
    }


def trial_configs(
    config: Config, arm_name: str, model_name: str, seed: int, tasks: dict[str, TaskData]
) -> list[TrialConfig]:
    """The trials of one arm, model and seed: one per task for ``single_task``, else one.

    Raises:
        ConfigError: the arm cannot be trained on these tasks.
    """
    arm = config.define.arms[arm_name]
    if isinstance(arm, NaiveConcatArm) and arm.label_space == "shared":
        classes = {name: len(data.labels) for name, data in tasks.items()}
        if len(set(classes.values())) > 1:
            counts = ", ".join(f"{name} {number}" for name, number in classes.items())
            raise ConfigError(
                f"define.arms.{arm_name}.label_space=shared needs tasks with equal numbers of "
                f"labels ({counts}); use label_space=union"
            )
    definitions = absolute(config.task_configs())
    glue_dir = glue_folder(config.data.glue_dir)
    groups = [[name] for name in tasks] if arm.strategy == "single_task" else [list(tasks)]
    total_steps = None
    if config.training.budget == "steps":
        size = config.training.batch_size
        per_pass = sum(-(-len(data.splits["train"]) // size) for data in tasks.values())
        total_steps = config.training.epochs * per_pass

    seeds = config.seeds if isinstance(config, ExperimentConfig) else (seed,)

    def trials_of(arm_name: str, seed: int) -> list[TrialConfig]:
        return trial_configs(config, arm_name, model_name, seed, tasks)

    return [
        TrialConfig(
            teachers=teachers_of(arm, group, seed, seeds, trials_of),
            start_from=start_of(arm, group, seed, trials_of),
            arm_name=arm_name,
            arm=arm,
            tasks={name: definitions[name] for name in group},
            sources={
                name: choose_source(name, definitions[name], config.data.source, glue_dir)
                for name in group
            },
            fingerprints={name: tasks[name].fingerprint for name in group},
            model_name=model_name,
            model=absolute_model(config.model_config_of(model_name)),
            seed=seed,
            training=config.training,
            selection=config.selection,
            limits=config.limits,
            total_steps=total_steps,
        )
        for group in groups
    ]


def plan_trial(
    config: TrialConfig, tasks: dict[str, TaskData], encoder: EncoderInfo
) -> PlannedTrial:
    """A trial with what it will see and cost."""
    training = config.training
    sizes = {name: len(tasks[name].splits["train"]) for name in config.tasks}
    passes = float(training.epochs)
    if config.total_steps is not None:
        per_pass = sum(-(-size // training.batch_size) for size in sizes.values())
        passes = config.total_steps / per_pass
    # Work grows with the text's length and with the encoder's layers and squared width.
    work = sum(size * _mean_length(tasks[name]) for name, size in sizes.items())
    cost = passes * work * encoder.num_layers * encoder.hidden_size**2
    return PlannedTrial(config, round(passes * sum(sizes.values())), cost)


def _mean_length(task: TaskData) -> float:
    texts = task.splits["train"].texts
    return float(np.mean([sum(map(len, text)) for text in texts]))


def glue_folder(configured: str | None) -> str | None:
    """``data.glue_dir``, else the environment's ``GLUE_DIR``, as an absolute path."""
    folder = configured or os.environ.get("GLUE_DIR") or None
    return str(Path(folder).expanduser().resolve()) if folder else None


def absolute(tasks: dict[str, TaskConfig]) -> dict[str, TaskConfig]:
    """Tasks whose files are named by absolute paths: trials run in other folders."""
    resolved = {}
    for name, task in tasks.items():
        if task.files is not None:
            paths = {
                split: str(Path(path).expanduser().resolve())
                for split, path in task.files.model_dump().items()
                if path is not None
            }
            task = task.model_copy(update={"files": task.files.model_copy(update=paths)})
        resolved[name] = task
    return resolved


def absolute_model(model: ModelConfig) -> ModelConfig:
    """A model whose folder, if it is one, is named by its absolute path."""
    folder = Path(model.encoder).expanduser()
    if not folder.is_dir():
        return model
    return model.model_copy(update={"encoder": str(folder.resolve())})
