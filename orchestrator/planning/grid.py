"""From a configuration to the trials of each arm, model and seed."""

import os
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestrator.config.experiment import ExperimentConfig, SingleTrialConfig
from orchestrator.planning.dependencies import start_of, teachers_of
from orchestrator.planning.encoders import check_model
from trainables.config.arms import NaiveConcatArm, SharedEncoderArm
from trainables.config.explain import nearest, validated
from trainables.config.methods import FixedWeighting
from trainables.config.task import TaskConfig
from trainables.config.trial import (
    CODE_SCHEMA,
    DropConfig,
    LimitsConfig,
    ModelConfig,
    SearchConfig,
    TrainingConfig,
    TrialConfig,
)
from trainables.data.glue_test import glue_tasks, read_test
from trainables.data.label_space import LabelSpace, label_space
from trainables.data.outline import TaskOutline, TaskSource
from trainables.data.sources import choose_source
from trainables.data.token_cache import token_folder
from trainables.errors import ConfigError
from trainables.models.encoder_info import EncoderInfo

Config = ExperimentConfig | SingleTrialConfig


class Grid:
    """The data of a configuration, and its trials.

    Attributes:
        config: the configuration.
        search: where given, its trials are those of a search, measured as it says.
        glue_dir: the GLUE folder, if any.
    """

    def __init__(self, config: Config, search: SearchConfig | None = None) -> None:
        self.config = config
        self.search = search
        self.glue_dir = glue_folder(config.data.glue_dir)
        self._outlines: dict[tuple[str, float | None], TaskOutline] = {}
        self._tests: set[str] = set()
        self._encoders: dict[ModelConfig, EncoderInfo] = {}
        self._without_seed: dict[tuple[str, str], list[TrialConfig]] = {}

    def with_config(self, config: Config) -> "Grid":
        """The grid of a configuration with other arms, models or training, on the same data."""
        other = Grid(config, self.search)
        other.sources = self.sources
        other._outlines = self._outlines
        other._tests = self._tests
        other._encoders = self._encoders
        return other

    def encoder(self, name: str) -> EncoderInfo:
        """Check the encoder called ``name``, once.

        Raises:
            EncoderError: it cannot be trained; names the key that the user wrote.
        """
        model = self.config.model_config_of(name)
        if model not in self._encoders:
            key = "models" if isinstance(self.config, ExperimentConfig) else "model"
            self._encoders[model] = check_model(self.config, key, name, facts_folder(self.config))
        return self._encoders[model]

    @cached_property
    def sources(self) -> dict[str, TaskSource]:
        """Where all tasks' data is."""
        root = facts_folder(self.config)
        return {
            name: TaskSource(name, task, self._source(name), self.glue_dir, root)
            for name, task in self._tasks.items()
        }

    @cached_property
    def tasks(self) -> dict[str, TaskOutline]:
        """All tasks' data, as every trial sees it whose arm asks for nothing else.

        Raises:
            DataError: whatever is wrong with the data.
        """
        return {name: self._load(name, self.config.limits.train_fraction) for name in self._tasks}

    def tasks_of(self, arm_name: str) -> dict[str, TaskOutline]:
        """The data of an arm's trials.

        Raises:
            ConfigError: the arm names a task that the grid has not, or cannot be trained on these.
            DataError: whatever is wrong with the data.
        """
        arm = self.config.define.arms[arm_name]
        for name in arm.tasks or ():
            if name not in self._tasks:
                raise ConfigError(
                    f"define.arms.{arm_name}.tasks: {name} is not among the grid's tasks"
                    f"{nearest(name, list(self._tasks))}"
                )
        chosen = {
            name: self.tasks[name] for name in self.tasks if name in (arm.tasks or self._tasks)
        }
        if arm.train_fraction is not None:
            chosen = {name: self._load(name, arm.train_fraction) for name in chosen}
        self._check_regressions(arm_name, chosen)
        self._check_heads(arm_name, chosen)
        self.label_space_of(arm_name, chosen)
        return chosen

    def label_space_of(self, arm_name: str, tasks: dict[str, TaskOutline]) -> LabelSpace | None:
        """How an arm pools the labels of its tasks; None if it does not.

        Raises:
            ConfigError: it cannot.
        """
        arm = self.config.define.arms[arm_name]
        if not isinstance(arm, NaiveConcatArm):
            return None
        try:
            return label_space({name: data.labels for name, data in tasks.items()}, arm.label_space)
        except ValueError as error:
            positions = (
                ", or label_space=positions, which makes label k of every task one class"
                if len({len(data.labels) for data in tasks.values()}) == 1
                else ""
            )
            raise ConfigError(
                f"define.arms.{arm_name}.label_space={arm.label_space} {error}; use the arm "
                f"naive_concat_union (label_space=union){positions}"
            ) from error

    def trials_of(self, arm_name: str, model_name: str, seed: int) -> list[TrialConfig]:
        """The trials of one arm, model and seed: one per task for ``single_task``, else one.

        Raises:
            ConfigError: see ``tasks_of``; or the arm's training settings cannot be used.
            DataError: whatever is wrong with the data.
            EncoderError: the model cannot be trained.
        """
        arm = self.config.define.arms[arm_name]
        seeds = self.config.all_seeds if isinstance(self.config, ExperimentConfig) else (seed,)

        def trials_of(arm_name: str, seed: int) -> list[TrialConfig]:
            return self.trials_of(arm_name, model_name, seed)

        # What is the same for all seeds has been validated once.
        return [
            alike.model_copy(
                update={
                    "seed": seed,
                    "teachers": teachers_of(arm, list(alike.tasks), seed, seeds, trials_of),
                    "start_from": start_of(arm, list(alike.tasks), seed, trials_of),
                }
            )
            for alike in self._of_any_seed(arm_name, model_name)
        ]

    def _of_any_seed(self, arm_name: str, model_name: str) -> list[TrialConfig]:
        """The trials of one arm and model with seed 0, without the trials that they need."""
        if (arm_name, model_name) not in self._without_seed:
            self._without_seed[arm_name, model_name] = self._make_trials(arm_name, model_name)
        return self._without_seed[arm_name, model_name]

    def _make_trials(self, arm_name: str, model_name: str) -> list[TrialConfig]:
        arm = self.config.define.arms[arm_name]
        data = self.tasks_of(arm_name)
        encoder = self.encoder(model_name)
        if arm.adapter is not None and encoder.no_adapter:
            raise ConfigError(
                f"define.arms.{arm_name}.adapter: {model_name} cannot have one: "
                f"{encoder.no_adapter}; leave it out or choose another model"
            )
        training = self.training_of(arm_name)
        self._check_methods(arm_name, training, list(data))
        if training.predict_test:
            self._check_tests(list(data))
        groups = [[name] for name in data] if arm.strategy == "single_task" else [list(data)]
        space = self.label_space_of(arm_name, data)
        return [
            TrialConfig(
                arm_name=arm_name,
                arm=arm,
                tasks={name: self._tasks[name] for name in group},
                sources={name: self._source(name) for name in group},
                fingerprints={name: data[name].fingerprint for name in group},
                model_name=model_name,
                model=absolute_model(self.config.model_config_of(model_name)),
                seed=0,
                training=training,
                selection=self.config.selection,
                limits=self._limits(arm.train_fraction),
                total_steps=_total_steps(training, data),
                search=self.search,
                drop=self._drop,
                code_schema=CODE_SCHEMA,
                pooled_by="name" if space is not None and space.reordered else None,
                corrections=tuple(
                    name
                    for name in encoder.corrections
                    if (name != "segments" or any(data[task].pair for task in group))
                    and (name != "adapter" or arm.adapter is not None)
                ),
            )
            for group in groups
        ]

    @cached_property
    def _tasks(self) -> dict[str, TaskConfig]:
        return absolute(self.config.task_configs())

    def _source(self, name: str) -> str:
        return choose_source(name, self._tasks[name], self.config.data.source, self.glue_dir)

    def _limits(self, train_fraction: float | None) -> LimitsConfig:
        limits = self.config.limits
        most = limits.max_train_examples
        if isinstance(most, dict):
            most = {task: most[task] for task in self.config.tasks if task in most} or None
        fraction = train_fraction or limits.train_fraction
        return limits.model_copy(update={"train_fraction": fraction, "max_train_examples": most})

    def _check_regressions(self, arm_name: str, tasks: dict[str, TaskOutline]) -> None:
        """What an arm with regressions among its tasks cannot have."""
        arm, where = self.config.define.arms[arm_name], f"define.arms.{arm_name}"
        for name in tasks:
            if self._tasks[name].kind != "regression":
                continue
            if isinstance(arm, NaiveConcatArm):
                raise ConfigError(
                    f"{where}: naive_concat is one classifier for the classes of all tasks, and "
                    f"{name} is a regression, which has none; leave it out with {where}.tasks"
                )
            if arm.task_heads.get(name, arm.head).name == "san":
                raise ConfigError(
                    f"{where}: the head san gives probabilities of classes, and {name} is a "
                    f"regression, which has none; name another for it under {where}.task_heads"
                )
        training = self.training_of(arm_name)
        if tasks and all(self._tasks[name].kind == "regression" for name in tasks):
            for key, value in (
                ("label_smoothing", training.label_smoothing),
                ("class_weights", training.class_weights),
            ):
                if value not in (0, "none"):
                    raise ConfigError(
                        f"{where}: training.{key}={value} is about classes, and all tasks of the "
                        f"arm are regressions; set define.arms.{arm_name}.training.{key}="
                        f"{TrainingConfig.model_fields[key].default}"
                    )

    def _check_heads(self, arm_name: str, tasks: dict[str, TaskOutline]) -> None:
        arm = self.config.define.arms[arm_name]
        where = f"define.arms.{arm_name}"
        if isinstance(arm, NaiveConcatArm):
            if arm.task_heads:
                raise ConfigError(f"{where}.task_heads: a naive_concat arm has one head; set head")
            if arm.head.name == "san":
                raise ConfigError(f"{where}.head.name=san: it is for tasks with two texts alone")
            return
        for name in arm.task_heads:
            if name not in tasks:
                raise ConfigError(
                    f"{where}.task_heads: {name} is not among the arm's tasks"
                    f"{nearest(name, list(tasks))}"
                )
        for name, data in tasks.items():
            if arm.task_heads.get(name, arm.head).name == "san" and not data.pair:
                raise ConfigError(
                    f"{where}: the head san reads two texts and task {name} has one; name it for "
                    f"the others under {where}.task_heads"
                )

    def _check_methods(self, arm_name: str, training: TrainingConfig, tasks: list[str]) -> None:
        """What an arm's methods ask of its tasks and of the size of a batch."""
        arm, where = self.config.define.arms[arm_name], f"define.arms.{arm_name}"
        if not isinstance(arm, SharedEncoderArm):
            return
        weights = arm.weighting.weights if isinstance(arm.weighting, FixedWeighting) else {}
        for name in weights:
            if name not in tasks:
                raise ConfigError(
                    f"{where}.weighting.weights: {name} is not among the arm's tasks"
                    f"{nearest(name, tasks)}"
                )
        # Cut evenly, a step may hold half a batch. One task alone is not mixed with anything.
        least = 2 * len(tasks)
        if arm.sampling.batch == "joint" and len(tasks) > 1 and training.batch_size < least:
            raise ConfigError(
                f"{where}.sampling.batch=joint: {len(tasks)} tasks share a batch, so "
                f"training.batch_size must be at least {least}, not {training.batch_size}"
            )

    def _check_tests(self, tasks: list[str]) -> None:
        """Whether the test files that ``training.predict_test`` asks for can be read."""
        sources = {name: self._source(name) for name in tasks}
        found = glue_tasks({name: self._tasks[name] for name in tasks}, sources)
        for name in found:
            self._check_test(name)
        if not found:
            raise ConfigError(
                f"training.predict_test: {', '.join(tasks)} is none of GLUE's tasks, read from its "
                "download or the Hub, whose test splits are without labels; leave it out"
            )

    def _check_test(self, name: str) -> None:
        """Read the test files of one of GLUE's tasks, once."""
        if name not in self._tests:
            read_test(name, self._tasks[name], self._source(name), self.glue_dir)
            self._tests.add(name)

    @property
    def _drop(self) -> DropConfig | None:
        """Which training examples every trial leaves out."""
        checks = self.config.checks
        own, across = checks.shared_texts == "drop", checks.shared_across_tasks == "drop"
        if not own and not across:
            return None
        return DropConfig(
            own=own,
            tasks=self._tasks if across else {},
            sources={name: self._source(name) for name in self._tasks} if across else {},
        )

    def _load(self, name: str, train_fraction: float | None) -> TaskOutline:
        if (name, train_fraction) not in self._outlines:
            self._outlines[name, train_fraction] = self.sources[name].outline(
                self._limits(train_fraction).of(name),
                self.config.selection.carved_fraction(self.config.training),
                *self.left_out(name),
            )
        return self._outlines[name, train_fraction]

    def left_out(self, name: str) -> tuple[bool, list[TaskSource]]:
        """What of a task's train is left out.

        Returns:
            Whether that is what its own other splits hold, and tasks whose other splits count too.
        """
        drop = self._drop
        if drop is None:
            return False, []
        return drop.own, [self.sources[other] for other in drop.tasks if other != name]

    def training_of(self, arm_name: str) -> TrainingConfig:
        """The grid's training settings under the arm's own; in a search, without the test split.

        Raises:
            ConfigError: the arm's own cannot be used.
        """
        arm = self.config.define.arms[arm_name]
        for key in ("budget", "early_stopping", "keep"):
            if key in arm.training:
                raise ConfigError(
                    f"define.arms.{arm_name}.training.{key}: must be the same for all arms; "
                    f"set training.{key}"
                )
        try:
            training = validated(TrainingConfig, self.config.training.model_dump() | arm.training)
        except ConfigError as error:
            raise ConfigError(f"define.arms.{arm_name}.training.{error}") from error
        self._check_cosines(arm_name, training)
        update: dict[str, Any] = {}
        if self.search is not None:
            # It looks at nothing but selection, whatever the arm's rows are to show.
            update = {"evaluate_test": False, "predict_test": False, "gradient_cosines": None}
        elif self._no_cosines(arm_name):
            update = {"gradient_cosines": None}
        return training.model_copy(update=update)

    def _check_cosines(self, arm_name: str, training: TrainingConfig) -> None:
        """Raises ConfigError: cosines of gradients are asked for where no trial has any."""
        reason, key = self._no_cosines(arm_name), "training.gradient_cosines"
        if training.gradient_cosines is None or not reason:
            return
        if "gradient_cosines" in self.config.define.arms[arm_name].training:
            raise ConfigError(f"define.arms.{arm_name}.{key}: {reason}; leave it out")
        arms = self.config.arms if isinstance(self.config, ExperimentConfig) else (arm_name,)
        if all(self._no_cosines(name) for name in arms):
            raise ConfigError(f"{key}: {', '.join(arms)}: {reason}; leave it out")

    def _no_cosines(self, arm_name: str) -> str:
        """Why there are no cosines between tasks' gradients in an arm; empty if there are."""
        arm = self.config.define.arms[arm_name]
        if not isinstance(arm, SharedEncoderArm):
            return f"a {arm.strategy} model has no gradients of several tasks to compare"
        if len(arm.tasks or self._tasks) < 2:
            return "one task alone has no gradients to compare"
        if arm.freezing.name == "all":
            return "freezing.name=all leaves the encoder without gradients"
        return ""


def _total_steps(training: TrainingConfig, tasks: dict[str, TaskOutline]) -> int | None:
    """Steps of a multi-task trial, where the budget is matched in steps."""
    if training.budget != "steps":
        return None
    size = training.batch_size
    return training.epochs * sum(-(-len(d.splits["train"]) // size) for d in tasks.values())


def facts_folder(config: Config) -> Path:
    """The token cache's folder, where facts about data and encoders are kept too."""
    return token_folder(Path(config.data.cache_dir) if config.data.cache_dir else None)


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
                for split, path in task.files.paths.items()
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
