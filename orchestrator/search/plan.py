"""What is searched: the groups of a grid, and the trial of given settings of a group."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import count, islice
from typing import Any

from pydantic import PositiveInt

from orchestrator.config.experiment import ExperimentConfig
from orchestrator.config.search import TunedExperimentConfig
from orchestrator.planning.data_facts import data_facts
from orchestrator.planning.dependencies import upstream_arms, with_upstream_arms
from orchestrator.planning.grid import Grid
from orchestrator.planning.plan import Plan, PlannedTrial, check_rounds, plan_trial
from orchestrator.search.best_trial import Incumbent
from orchestrator.search.rungs import rungs
from search_spaces.group_settings import group_facts, with_settings
from search_spaces.searchers import grid_size
from trainables.config.arms import ArmConfig
from trainables.config.base import Settings
from trainables.config.schedules import Segment, SettingChange
from trainables.config.trial import SearchConfig, TrialConfig
from trainables.errors import ConfigError
from trainables.models.encoder_info import EncoderInfo
from trainables.seeding import derive_seed

SettingValues = Mapping[str, Any]
"""Dotted key -> value."""


class Group(Settings):
    """What is searched on its own: an arm and a model, and for ``single_task`` a task.

    Attributes:
        name: unique among the groups.
        arm, label, strategy, model: as in the comparison table.
        task: of ``single_task``. None for every other strategy.
        metric: of the score: ``macro``, or the headline metric of the task.
        facts: what a space's conditions can ask (see ``search_spaces/group_settings.py``).
        budget: training examples that the longest of its trials sees.
        rungs: training examples after which its trials report a score.
    """

    name: str
    arm: str
    label: str
    strategy: str
    model: str
    task: str | None
    metric: str
    facts: dict[str, Any]
    budget: PositiveInt
    rungs: tuple[PositiveInt, ...]


class SearchPlan:
    """The groups of an experiment, and the trials of a search of them.

    Trials of the search are scored on ``selection``, which is carved from ``train``; nothing is
    evaluated on validation. Upstream trials (teachers, first phases), which others learn or start
    from, are trained once, at the preset's settings.

    Attributes:
        experiment: as configured; in a grid search with no more trials a group than the largest
            grid has.
        encoders: name of a model -> its encoder.
        facts: what the tasks' data holds.
        groups: in the order of the grid.

    Raises:
        InputError: the data, an encoder, the space or a combination of settings cannot be used.
    """

    def __init__(self, experiment: TunedExperimentConfig) -> None:
        check_rounds(experiment)
        self.experiment = experiment
        searched = experiment.model_copy(
            update={"selection": experiment.selection.model_copy(update={"enabled": "always"})}
        )
        self._grid = Grid(searched, SearchConfig())
        self.encoders: dict[str, EncoderInfo] = {
            name: self._grid.encoder(name) for name in experiment.models
        }
        self.facts = data_facts(self._grid, with_upstream_arms(experiment), experiment.models)
        self.groups = tuple(
            self._group(config)
            for arm in experiment.arms
            for model in experiment.models
            for config in self._grid.trials_of(arm, model, self.seed)
        )
        if experiment.tune.search == "grid":
            most = max(grid_size(experiment.space, group.facts) for group in self.groups)
            # The best settings of an earlier search come before those of the grid.
            most += experiment.tune.warm_start is not None
            tune = experiment.tune.model_copy(update={"trials": min(experiment.tune.trials, most)})
            self.experiment = experiment.model_copy(update={"tune": tune})

    @property
    def seed(self) -> int:
        """The seed with which all trials of the search are trained."""
        return self.experiment.all_seeds[0]

    @property
    def glue_dir(self) -> str | None:
        """The GLUE folder. None if the tasks need none."""
        return self._grid.glue_dir

    @cached_property
    def rerank_seeds(self) -> tuple[int, ...]:
        """The seeds with which settings are ranked again: none of the grid's or of the search."""
        experiment = self.experiment
        taken = {*experiment.all_seeds, experiment.tune.seed}
        number = 0 if experiment.tune.rerank is None else experiment.tune.rerank.seeds
        drawn = (derive_seed(experiment.tune.seed, "rerank", n) % 2**32 for n in count())
        return tuple(islice((seed for seed in drawn if seed not in taken), number))

    @cached_property
    def upstream(self) -> tuple[PlannedTrial, ...]:
        """The trials that trials of the search need, in the order of the grid."""
        return self._upstream((self.seed,))

    @cached_property
    def rerank_upstream(self) -> tuple[PlannedTrial, ...]:
        """The trials that those need with which settings are ranked again."""
        return self._upstream(self.rerank_seeds)

    def _upstream(self, seeds: Sequence[int]) -> tuple[PlannedTrial, ...]:
        """The trials that trials of the groups with these seeds need, in the order of the grid."""
        experiment, needed = self.experiment, self._needed_keys(seeds)
        return tuple(
            self._planned(self._grid, config)
            for arm in with_upstream_arms(experiment)
            if arm in self._needed_arms()
            for model in experiment.models
            for seed in dict.fromkeys((*experiment.all_seeds, *seeds))
            for config in self._grid.trials_of(arm, model, seed)
            if config.key in needed
        )

    def trial(
        self,
        group: Group,
        settings: SettingValues,
        changes: tuple[SettingChange, ...] = (),
        part: int = 0,
    ) -> PlannedTrial:
        """The trial of a group with given settings.

        Args:
            group: what is searched.
            settings: dotted key -> value at the start of training.
            changes: of the settings during training.
            part: which part of training the trial is, counted from 0; where training has only one,
                it is the whole.

        Raises:
            ConfigError: the settings cannot be used together.
        """
        parts = self.experiment.tune.parts
        search = SearchConfig(rungs=group.rungs)
        if parts > 1:
            search = SearchConfig(segment=Segment(number=part + 1, of=parts))
        return self._trial(group, Incumbent(settings, changes), self.seed, search)

    def rerun(self, group: Group, settings: Incumbent, seed: int) -> PlannedTrial:
        """The trial that trains settings of a group as a whole with another seed.

        Like all trials of the search it is scored on ``selection`` alone.
        """
        return self._trial(group, settings, seed, SearchConfig())

    def _trial(
        self, group: Group, settings: Incumbent, seed: int, search: SearchConfig
    ) -> PlannedTrial:
        grid = self._grid.with_config(self._with(self._grid.config, group, settings.settings))
        [config] = _of(group, grid.trials_of(group.arm, group.model, seed))
        update = {"search": search, "changes": settings.changes}
        return self._planned(grid, config.model_copy(update=update))

    def refit(self, incumbents: Mapping[str, Incumbent]) -> Plan:
        """The comparison after the search: the arms at the preset's settings, and tuned.

        Args:
            incumbents: name of a group -> its best settings; groups without have no tuned rows.
        """
        experiment = self.experiment
        grid = Grid(experiment)
        names = with_upstream_arms(experiment)
        if not experiment.tune.defaults:
            needed = {name for arm in experiment.arms for name in self._needs(arm)}
            names = [name for name in names if name in needed]
        trials = [
            self._planned(grid, config)
            for arm in names
            for model in experiment.models
            for seed in experiment.all_seeds
            for config in grid.trials_of(arm, model, seed)
        ]
        for group in self.groups:
            if group.name in incumbents:
                best = incumbents[group.name]
                tuned = grid.with_config(self._with(experiment, group, best.settings))
                update = {"tuned": True, "changes": best.changes}
                trials += [
                    self._planned(tuned, config.model_copy(update=update))
                    for seed in experiment.all_seeds
                    for config in _of(group, tuned.trials_of(group.arm, group.model, seed))
                ]
        return Plan(tuple(trials), grid.tasks, self.encoders, grid.glue_dir, self.facts)

    @property
    def largest(self) -> Plan:
        """Upstream trials, and a trial of each group at the largest batch that its space has."""
        keys = {"training.batch_size", "model.max_length"}
        parameters = self.experiment.space.parameters
        trials = list(self.upstream)
        for group in self.groups:
            largest = {}
            for key in keys.intersection(self.experiment.space.keys_for(group.facts)):
                values = parameters[key].examples()
                largest[key] = max(n for n in values if isinstance(n, int | float))
            trials.append(self.trial(group, largest))
        return self.plan_of(tuple(trials))

    def plan_of(self, trials: tuple[PlannedTrial, ...]) -> Plan:
        """Trials of the search as a plan, to estimate disk use and resources."""
        return Plan(trials, self._grid.tasks, self.encoders, self.glue_dir)

    def _group(self, config: TrialConfig) -> Group:
        experiment, arm = self.experiment, config.arm
        task = next(iter(config.tasks)) if arm.strategy == "single_task" else None
        facts = group_facts(
            config.arm_name, arm, config.model_name, config.model, config.training, task
        )
        several = len(config.tasks) > 1
        group = Group(
            name=" ".join(filter(None, (config.arm_name, config.model_name, task))),
            arm=config.arm_name,
            label=arm.label or config.arm_name,
            strategy=arm.strategy,
            model=config.model_name,
            task=task,
            metric="macro" if several else next(iter(config.tasks.values())).headline,
            facts=facts,
            budget=1,
            rungs=(),
        )
        keys = experiment.space.keys_for(facts)
        if not keys:
            raise ConfigError(
                f"space {experiment.space.name}: nothing of it is a setting of {group.name}; give "
                "its arm a parameter, or leave the arm out"
            )
        if upstream_arms(arm):
            for key in keys:
                if key.startswith("model."):
                    raise ConfigError(
                        f"space {experiment.space.name}: {key}: trials of arm {group.arm} need "
                        "others of the same model, which are not searched; add a condition: "
                        f"when: {{arm: [...]}} without {group.arm}"
                    )
        longest = {}
        if "training.epochs" in keys:
            epochs = experiment.space.parameters["training.epochs"].examples()
            longest = {"training.epochs": max(n for n in epochs if isinstance(n, int | float))}
        budget = self.trial(group, longest).expected_examples
        return group.model_copy(update={"budget": budget, "rungs": rungs(experiment.tune, budget)})

    def _with(self, config: Any, group: Group, settings: SettingValues) -> ExperimentConfig:
        """A configuration in which a group's arm and model have these settings."""
        arm: ArmConfig = config.define.arms[group.arm]
        model = config.model_config_of(group.model)
        arm, model, _ = with_settings(
            {key: value for key, value in settings.items() if not key.startswith("training.")},
            arm,
            model,
            config.training,
        )
        own = {
            key.removeprefix("training."): value
            for key, value in settings.items()
            if key.startswith("training.")
        }
        arm = arm.model_copy(update={"training": arm.training | own})
        define = config.define.model_copy(
            update={
                "arms": config.define.arms | {group.arm: arm},
                "models": config.define.models | {group.model: model},
            }
        )
        return config.model_copy(update={"define": define})

    def _planned(self, grid: Grid, config: TrialConfig) -> PlannedTrial:
        encoder = self.encoders[config.model_name]
        return plan_trial(config, grid.tasks_of(config.arm_name), encoder)

    def _needs(self, arm: str) -> set[str]:
        """The arms whose trials those of ``arm`` need, directly or not."""
        direct = {name for _, name in upstream_arms(self.experiment.define.arms[arm])}
        return direct | {name for other in direct for name in self._needs(other)}

    def _needed_arms(self) -> set[str]:
        return {name for arm in self.experiment.arms for name in self._needs(arm)}

    def _needed_keys(self, seeds: Sequence[int]) -> set[str]:
        """Keys of the trials that trials of the groups with these seeds need, directly or not."""
        needed: set[str] = set()
        open_ = [
            config
            for group in self.groups
            for seed in seeds
            for config in self._grid.trials_of(group.arm, group.model, seed)
        ]
        by_key = {
            config.key: config
            for arm in self._needed_arms()
            for model in self.experiment.models
            for seed in dict.fromkeys((*self.experiment.all_seeds, *seeds))
            for config in self._grid.trials_of(arm, model, seed)
        }
        while open_:
            new = open_.pop().needs - needed
            needed |= new
            open_ += [by_key[key] for key in new]
        return needed


def _of(group: Group, configs: list[TrialConfig]) -> list[TrialConfig]:
    """The trials of an arm that are of the group's task."""
    return [c for c in configs if group.task is None or group.task in c.tasks]
