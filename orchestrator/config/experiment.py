"""What an experiment is: the values of a preset after overrides, validated.

``ExperimentConfig`` is a whole grid, ``SingleTrialConfig`` the one trial of the ``train`` command.
The sections that decide a trial's numbers are in ``trainables/config/trial.py``, those about where
and how safely trials run in ``runtime.py``.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from orchestrator.config.checks import ChecksConfig
from orchestrator.config.runtime import CheckpointConfig, RayConfig, ResourcesConfig
from orchestrator.config.seeds import Seed, SeedRule, rounds_of
from search_spaces.presets import load_values
from trainables.config.arms import ArmConfig
from trainables.config.base import Settings, as_tuple, unused
from trainables.config.explain import nearest, validated
from trainables.config.task import TaskConfig
from trainables.config.tracking import TrackingConfig
from trainables.config.trial import LimitsConfig, ModelConfig, SelectionConfig, TrainingConfig
from trainables.errors import ConfigError
from trainables.results.record import MACRO, TOGETHER

Names = Annotated[tuple[str, ...], BeforeValidator(as_tuple), Field(min_length=1)]

PAIRED_SEEDS = 5
"""Of fewer seeds the noise of their differences is not known well enough to pair them."""


class DataConfig(Settings):
    """Where the tasks' data comes from."""

    source: Literal["auto", "hub", "glue_dir", "demo", "files"] = Field(
        default="auto",
        description="where tasks are read from, of the sources that each offers; auto: own files, "
        "else glue_dir where it is given, else hub, else demo",
    )
    glue_dir: str | None = Field(
        default=None,
        description="folder in GLUE's download layout; None: the environment's GLUE_DIR",
    )
    cache_dir: str | None = Field(
        default=None, description="token cache; None: the user's cache folder"
    )


class DefineConfig(Settings):
    """Names that ``tasks``, ``models`` and ``arms`` may use."""

    tasks: dict[str, TaskConfig] = Field(default_factory=dict, description="name -> task")
    models: dict[str, ModelConfig] = Field(default_factory=dict, description="name -> model")
    arms: dict[str, ArmConfig] = Field(default_factory=dict, description="name -> arm")


class _Common(Settings):
    """Keys that a grid and a single trial share."""

    define: DefineConfig = Field(
        default=DefineConfig(), description="names that `tasks`, `models` and `arms` may use"
    )
    tasks: Names = Field(default=("cola", "sst2", "mrpc"), description="tasks, by name")
    data: DataConfig = Field(default=DataConfig(), description="where the tasks' data comes from")
    checks: ChecksConfig = Field(
        default=ChecksConfig(), description="what to do about findings in the tasks' data"
    )
    limits: LimitsConfig = Field(
        default=LimitsConfig(), description="caps on the examples of each task"
    )
    selection: SelectionConfig = Field(
        default=SelectionConfig(),
        description="the split that is carved from train where something must be selected",
    )
    training: TrainingConfig = Field(
        default=TrainingConfig(), description="optimisation and evaluation"
    )
    checkpoint: CheckpointConfig = Field(
        default=CheckpointConfig(), description="how much work an interruption may cost"
    )
    tracking: TrackingConfig = Field(
        default=TrackingConfig(), description="experiment trackers, beside the run directory"
    )

    @classmethod
    def runtime_keys(cls) -> dict[str, Any]:
        """Keys that change nothing that is measured, for ``model_dump(exclude=...)``."""
        return RUNTIME_KEYS

    def task_configs(self) -> dict[str, TaskConfig]:
        """The chosen tasks, in order."""
        return {name: self.define.tasks[name] for name in self.tasks}

    def model_config_of(self, name: str) -> ModelConfig:
        """A model by its defined name, else by its Hub name or folder."""
        return self.define.models.get(name) or ModelConfig(encoder=name)

    @model_validator(mode="after")
    def _selection_exists(self) -> Self:
        training = self.training
        if self.selection.enabled == "never" and (
            training.early_stopping is not None or training.keep == "best"
        ):
            key = "keep=best" if training.keep == "best" else "early_stopping"
            raise ValueError(
                f"selection.enabled=never: training.{key} chooses on the selection split; "
                "set selection.enabled=auto"
            )
        default = SelectionConfig.model_fields["fraction"].default
        if self.selection.enabled == "never" and self.selection.fraction != default:
            raise ValueError(
                "selection.fraction: " + unused("selection.enabled", "never", ("auto", "always"))
            )
        return self


class ExperimentConfig(_Common):
    """A grid: arms x models x seeds over the tasks."""

    name: str = Field(
        default="experiment",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=80,
        description="name of the experiment; its run directory is runs/NAME unless one is given",
    )
    models: Names = Field(
        default=("minilm-l6",), description="models: defined names, Hub names or local folders"
    )
    arms: Names = Field(
        default=("single_task", "naive_concat", "shared_encoder"),
        description="arms to compare, by name",
    )
    margins: dict[str, Annotated[float, Field(gt=0, lt=100)]] = Field(
        default={},
        description="task or `macro` -> points of its headline metric up to which a difference is "
        "of no consequence (0.01 of a correlation is one); default: macro 2; accuracy and F1 2, "
        "or 3 of fewer than 800 examples; correlations 5",
    )
    pair_seeds: bool = Field(
        default=False,
        description="take the difference of two arms seed by seed, because a seed decides the same "
        "initial weights and order of data in both; needs 5 seeds or more; arms that lack a seed "
        "are compared without",
    )
    seeds: SeedRule = Field(
        default=(41, 42, 43),
        description="each trial is trained with each seed of a list, or with seeds in rounds "
        "(docs/experiments.md)",
    )
    resources: ResourcesConfig = Field(
        default=ResourcesConfig(), description="what one trial gets of the machine"
    )
    ray: RayConfig = Field(default=RayConfig(), description="the Ray instance that runs the trials")
    retries: NonNegativeInt = Field(
        default=3,
        description="restarts of a trial whose process died, without a checkpoint in between",
    )
    save_models: bool = Field(default=False, description="keep the final model of every trial")

    @property
    def rounds(self) -> tuple[tuple[int, ...], ...]:
        """The seeds at each look at the verdict; those of a list are one round."""
        return rounds_of(self.seeds)

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of seeds at which there is a verdict."""
        return tuple(map(len, self.rounds))

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The most seeds that are trained."""
        return self.rounds[-1]


class SingleTrialConfig(_Common):
    """One trial in this process."""

    task: str | None = Field(
        default=None,
        description="task to train on; None: `tasks`, and of these the first for single_task",
    )
    model: str = Field(
        default="minilm-l6", description="a model: a defined name, a Hub name or a local folder"
    )
    seed: Seed = Field(default=41, description="seed of everything random in the trial")
    device: str = Field(default="auto", description="auto, cpu, mps, cuda or cuda:N")
    threads: PositiveInt | None = Field(default=None, description="CPU threads; None: all cores")
    log_file: str | None = Field(
        default=None, description="CSV file to which a row is appended; None: none"
    )
    resume_from: str | None = Field(
        default=None, description="checkpoint folder to continue from; None if absent"
    )
    save_model: bool = Field(default=True, description="keep the final model")


RUNTIME_KEYS = {
    "name": True,
    "resources": True,
    "ray": True,
    "checkpoint": True,
    "retries": True,
    "save_models": True,
    "save_model": True,
    "device": True,
    "threads": True,
    "log_file": True,
    "resume_from": True,
    "tracking": True,
    "checks": True,
    "data": {"glue_dir", "cache_dir"},
}
"""Keys of a grid or a single trial that change nothing that is measured."""


def load_experiment(preset: str, overrides: list[str]) -> ExperimentConfig:
    """The experiment of a preset and its overrides.

    Raises:
        ConfigError: the first thing that is wrong, naming its key.
    """
    experiment = validated(ExperimentConfig, load_values(preset, overrides))
    check_experiment(experiment)
    return experiment


def check_experiment(experiment: ExperimentConfig) -> None:
    """What a grid's names must be besides what their types say.

    Raises:
        ConfigError: a name that is unknown, there twice, or of a thing that cannot be used.
    """
    _check_names(experiment, experiment.arms, experiment.models)
    _unique("tracking.trackers", list(experiment.tracking.trackers))
    _unique("seeds", [str(seed) for seed in experiment.all_seeds])
    fewest = len(experiment.rounds[0])
    if experiment.pair_seeds and fewest < PAIRED_SEEDS:
        raise ConfigError(
            f"pair_seeds=true: needs {PAIRED_SEEDS} seeds or more, and seeds has {fewest}; give "
            "it more, or remove pair_seeds"
        )
    scopes = [*experiment.tasks, MACRO]
    for name in experiment.margins:
        if name not in scopes:
            raise ConfigError(f"margins.{name}: is no task of this grid{nearest(name, scopes)}")


def load_single_trial(arm: str, overrides: list[str]) -> SingleTrialConfig:
    """The settings of the ``train`` command.

    Raises:
        ConfigError: the first thing that is wrong, naming its key.
    """
    single = validated(SingleTrialConfig, load_values(None, overrides))
    if single.task is not None:
        single = single.model_copy(update={"tasks": (single.task,)})
    _check_names(single, (arm,), (single.model,))
    return single


def _check_names(config: _Common, arms: tuple[str, ...], models: tuple[str, ...]) -> None:
    """Raises ConfigError: a task or arm is undefined, or a name is blank, repeated or reserved."""
    _check_defined("tasks", config.tasks, list(config.define.tasks))
    _check_defined("arms", arms, list(config.define.arms))
    for key, names in (("tasks", config.tasks), ("arms", arms), ("models", models)):
        _unique(key, list(names))
        for name in names:
            if not name.strip() or any(ord(c) < 32 for c in name):
                raise ConfigError(f"{key}: {name!r} is no name")

    most = config.limits.max_train_examples
    for name in most if isinstance(most, dict) else ():
        # Presets have limits of tasks that another grid of theirs leaves out.
        if name not in config.define.tasks:
            raise ConfigError(
                f"limits.max_train_examples.{name}: is no task"
                f"{nearest(name, list(config.define.tasks))}"
            )
    for name in config.tasks:
        if name in TOGETHER:
            raise ConfigError(
                f"tasks: {name} is what tables call a summary of all tasks; give the task another "
                "name under define.tasks"
            )


def _check_defined(key: str, names: tuple[str, ...], valid: list[str]) -> None:
    for name in names:
        if name not in valid:
            raise ConfigError(
                f"{key}: {name} is unknown{nearest(name, sorted(valid))} "
                f"(add one under define.{key}.{name})"
            )


def _unique(key: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{key}: {name} is there twice; name it once")
