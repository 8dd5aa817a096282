"""How a hyperparameter search is made: the keys of ``tune``, beside those of the grid."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from orchestrator.config.experiment import RUNTIME_KEYS, ExperimentConfig, check_experiment
from orchestrator.config.seeds import Seed
from search_spaces.presets import load_values
from search_spaces.space import Space, load_space
from trainables.config.base import DependentSettings, Settings
from trainables.config.explain import nearest, validated
from trainables.errors import ConfigError


class RerankConfig(Settings):
    """The best settings of each group are trained with other seeds before one of them is chosen."""

    top: int = Field(
        default=3, ge=2, le=100, description="settings of each group that are ranked again"
    )
    seeds: int = Field(
        default=2,
        ge=1,
        le=100,
        description="seeds that each of them is trained with, none of which is in `seeds`",
    )


class TuneConfig(DependentSettings):
    """A search: for each group the same number of trials."""

    only_with: ClassVar = {
        "reduction": ("scheduler", ("asha", "hyperband")),
        "grace": ("scheduler", ("asha", "hyperband", "median")),
        "measurements": ("scheduler", ("median",)),
        "generations": ("scheduler", ("pbt",)),
    }

    trials: PositiveInt = Field(
        default=16, description="trials of each group; a later command may ask for more"
    )
    search: Literal["random", "sobol", "optuna", "grid"] = Field(
        default="random", description="how settings are chosen (see docs/spaces.md)"
    )
    scheduler: Literal["asha", "hyperband", "median", "pbt", "none"] = Field(
        default="asha", description="how trials are stopped early (see docs/tuning.md)"
    )
    seed: Seed = Field(
        default=0,
        description="seed of the search itself, without effect on search=grid; its trials train "
        "with seeds[0]",
    )
    reduction: float = Field(
        default=4.0,
        ge=1.5,
        le=100,
        description="of asha and hyperband: one trial in so many is continued at each rung",
    )
    grace: float = Field(
        default=1 / 16,
        gt=0,
        lt=1,
        description="share of the largest budget before which no trial is stopped",
    )
    measurements: int = Field(
        default=8, ge=2, le=100, description="of median: how many times a trial is measured"
    )
    generations: int = Field(
        default=4,
        ge=2,
        le=100,
        description="of pbt: number of parts of training, after each of which trials are replaced",
    )
    rerank: RerankConfig | None = Field(
        default=RerankConfig(),
        description="rank the best settings of each group again, by their mean score on selection "
        "over new seeds; None: take those that scored best in the search",
    )
    refit: bool = Field(
        default=True, description="train the best settings of each group with every seed"
    )
    defaults: bool = Field(
        default=True,
        description="with refit, also train the arms with the preset's settings, to compare with",
    )
    max_hours: PositiveFloat | None = Field(
        default=None,
        description="time limit of this command's search, which starts when the trials that it "
        "depends on are trained; the best settings so far are taken then; None: no limit",
    )
    max_trials: PositiveInt | None = Field(
        default=None,
        description="limit for all groups together, with the trials of earlier commands; the best "
        "settings so far are taken then; None: no limit",
    )
    warm_start: str | None = Field(
        default=None,
        description="run directory of an earlier search, with whose present results this one "
        "begins; None: begin without",
    )

    @property
    def parts(self) -> int:
        """Parts of a trial's training, each trained as a trial of its own."""
        return self.generations if self.scheduler == "pbt" else 1

    @model_validator(mode="after")
    def _pbt_settings_fit(self) -> Self:
        if self.scheduler == "pbt" and self.search == "grid":
            raise ValueError(
                "search=grid: scheduler=pbt changes settings on the way; set search=random"
            )
        if self.scheduler == "pbt" and self.search == "optuna":
            raise ValueError(
                "search=optuna: with scheduler=pbt all trials of a group start before one has a "
                "score to learn from; set search=random"
            )
        if self.scheduler == "pbt" and self.trials < 4:
            raise ValueError(
                f"trials={self.trials}: scheduler=pbt replaces the worst quarter of the trials by "
                "the best; give it at least 4"
            )
        return self


class TunedExperimentConfig(ExperimentConfig):
    """A grid whose settings are searched."""

    tune: TuneConfig = Field(default=TuneConfig(), description="how the search is made")
    space: Space = Field(description="what is searched, the second argument of the command")

    @classmethod
    def runtime_keys(cls) -> dict[str, Any]:
        """Also what may change when a search is gone on with: what it has found stays valid."""
        going_on = {"trials", "rerank", "refit", "defaults", "max_hours", "max_trials"}
        return RUNTIME_KEYS | {"tune": going_on}


def load_tuned_experiment(
    preset: str, space: str | Space, overrides: list[str]
) -> TunedExperimentConfig:
    """The experiment of a preset, a space and overrides.

    Raises:
        ConfigError: the first thing that is wrong, naming its key.
    """
    loaded = space if isinstance(space, Space) else load_space(space)
    values = load_values(preset, overrides)
    if "space" in values:
        raise ConfigError("space: unknown key; a space is the second argument of tune")
    values["space"] = loaded.model_dump(mode="json")
    experiment = validated(TunedExperimentConfig, values)
    check_experiment(experiment)
    _check_conditions(experiment)
    if experiment.selection.enabled == "never":
        raise ConfigError(
            "selection.enabled=never: a search chooses on the selection split; set it to auto"
        )
    if experiment.tune.scheduler == "pbt" and experiment.training.early_stopping is not None:
        raise ConfigError(
            "training.early_stopping: with tune.scheduler=pbt every member trains all its parts; "
            "set it to null"
        )
    return experiment


def _check_conditions(experiment: TunedExperimentConfig) -> None:
    """Raises ConfigError: a condition of the space names an arm, model or task that is nowhere."""
    define, space = experiment.define, experiment.space
    defined = {
        "arm": list(define.arms),
        "model": list(dict.fromkeys((*define.models, *experiment.models))),
        "task": list(define.tasks),
    }
    for key, parameter in space.parameters.items():
        for condition, names in defined.items():
            for name in parameter.when.get(condition, ()):
                if name not in names:
                    raise ConfigError(
                        f"space {space.name}: {key}: when {condition}: {name} is unknown"
                        f"{nearest(str(name), sorted(names))}"
                    )
