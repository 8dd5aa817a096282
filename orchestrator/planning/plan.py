"""The plan: every trial that a preset and its overrides expand to.

Planning reads all data and checks every encoder, so that bad input is found before anything runs;
what is known of files that are still the same is not found out again.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from orchestrator.config.experiment import ExperimentConfig
from orchestrator.config.seeds import SeedsUntil
from orchestrator.planning.data_facts import DataFacts, data_facts
from orchestrator.planning.dependencies import arms_of_all_seeds, with_upstream_arms
from orchestrator.planning.grid import Grid
from orchestrator.planning.resources import GpuNeed, TrialResources
from trainables.config.trial import TrialConfig
from trainables.data.outline import TaskOutline
from trainables.errors import ConfigError
from trainables.models.encoder_info import EncoderInfo


@dataclass(frozen=True)
class PlannedTrial:
    """A trial that is to be run.

    Attributes:
        config: everything that its numbers depend on.
        expected_examples: training examples that it will see, in expectation if sampled.
        cost: expected work, comparable among the trials of a plan.
    """

    config: TrialConfig
    expected_examples: int
    cost: float

    @property
    def key(self) -> str:
        """See ``TrialConfig.key``."""
        return self._key

    @cached_property
    def _key(self) -> str:
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
            "needs": sorted(self.config.needs),
            "expected_examples": self.expected_examples,
            "cost": self.cost,
        }


@dataclass(frozen=True)
class Plan:
    """All trials in the order of the grid, with their data and encoders.

    Attributes:
        trials: in the order of the grid.
        tasks: the data that trials see whose arm asks for nothing else.
        encoders: name of a model -> its encoder.
        glue_dir: the GLUE folder; None without one.
        facts: what the tasks' whole data holds; None where nobody asks.
    """

    trials: tuple[PlannedTrial, ...]
    tasks: dict[str, TaskOutline]
    encoders: dict[str, EncoderInfo]
    glue_dir: str | None
    facts: DataFacts | None = None

    def of_seeds(self, seeds: Collection[int]) -> "Plan":
        """The same plan with some of its seeds alone."""
        return replace(self, trials=tuple(t for t in self.trials if t.config.seed in seeds))

    def longest_first(self) -> list[PlannedTrial]:
        """The trials in the order of their start: the longest first."""
        return sorted(self.trials, key=lambda trial: -trial.cost)


def make_plan(experiment: ExperimentConfig) -> Plan:
    """Expand the grid.

    Raises:
        InputError: data, an encoder or a combination of settings that cannot be used.
    """
    check_rounds(experiment)
    grid = Grid(experiment)
    encoders = {name: grid.encoder(name) for name in experiment.models}
    arms = with_upstream_arms(experiment)
    tasks = {arm: grid.tasks_of(arm) for arm in arms}
    trials = [
        plan_trial(config, tasks[arm], encoders[model])
        for arm in arms
        for model in experiment.models
        for seed in experiment.all_seeds
        for config in grid.trials_of(arm, model, seed)
    ]
    facts = data_facts(grid, arms, experiment.models)
    return Plan(tuple(trials), grid.tasks, encoders, grid.glue_dir, facts)


def check_rounds(experiment: ExperimentConfig) -> None:
    """Check that a grid that trains seeds in rounds until it is decided can be.

    Raises:
        ConfigError: trials depend on how many seeds there are, or there is nothing to compare.
    """
    if not isinstance(experiment.seeds, SeedsUntil):
        return
    for arm in arms_of_all_seeds(experiment):
        raise ConfigError(
            f"define.arms.{arm}.distillation.seeds=all: its trials learn from those of all seeds, "
            "so seeds cannot be trained in rounds; set it to same, or seeds to a list"
        )
    arms = [experiment.define.arms[name] for name in with_upstream_arms(experiment)]
    tasks = set(experiment.tasks)
    kinds = {arm.strategy for arm in arms if tasks <= set(arm.tasks or tasks)}
    if not _comparable(kinds):
        raise ConfigError(
            "seeds.until=decided: the verdict compares a multi-task arm with single_task, or "
            "shared_encoder with naive_concat, and these arms allow neither; add one to arms, or "
            "set seeds to a list"
        )


def _comparable(strategies: Collection[str]) -> bool:
    return ("single_task" in strategies and len(strategies) > 1) or (
        "shared_encoder" in strategies and "naive_concat" in strategies
    )


def plan_trial(
    config: TrialConfig, tasks: dict[str, TaskOutline], encoder: EncoderInfo
) -> PlannedTrial:
    """A trial with its expected examples and cost."""
    training = config.training
    sizes = {name: len(tasks[name].splits["train"]) for name in config.tasks}
    passes = float(training.epochs)
    if config.total_steps is not None:
        per_pass = sum(-(-size // training.batch_size) for size in sizes.values())
        passes = config.total_steps / per_pass
    # Work grows with the text's length and with the encoder's layers and squared width.
    work = sum(size * tasks[name].splits["train"].mean_length for name, size in sizes.items())
    cost = passes * work * encoder.num_layers * encoder.hidden_size**2
    return PlannedTrial(config, round(passes * sum(sizes.values())), cost)


def largest(plan: Plan) -> GpuNeed:
    """The GPU memory that the largest trial of a plan needs, finished trials included.

    Raises:
        EncoderError: an encoder's files are missing.
    """
    from trainables.training.gpu_memory import UncountableError, estimate_gpu_memory

    needs: dict[str, GpuNeed] = {}
    for trial in plan.trials:
        config = trial.config
        classes = {name: plan.tasks[name].outputs for name in config.tasks}
        # Trials that differ only in their seed or task need the same.
        kind = repr((config.arm_name, config.model_name, *classes.values(), config.training))
        if kind not in needs:
            try:
                gigabytes = estimate_gpu_memory(config, classes).total / 1e9
            except UncountableError:
                gigabytes = math.inf
            needs[kind] = GpuNeed(
                f"{config.arm_name} {config.model_name}",
                gigabytes,
                config,
                trial.expected_examples,
                plan.glue_dir,
            )
    return max(needs.values(), key=lambda need: need.gigabytes)
