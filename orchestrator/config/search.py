"""How a hyperparameter search is made: the keys of ``tune``, beside those of the grid."""

from typing import Any, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from orchestrator.config.experiment import RUNTIME_KEYS, ExperimentConfig, Seed, check_experiment
from search_spaces.presets import load_values
from search_spaces.space import Space, load_space
from trainables.config.base import Settings
from trainables.config.explain import nearest, validated
from trainables.errors import ConfigError


class TuneConfig(Settings):
    """A search: for each group the same number of trials."""

    trials: PositiveInt = Field(default=16, description="of each group; more may be asked later")
    search: Literal["random", "sobol", "optuna", "grid"] = Field(
        default="random", description="which settings are tried (see docs/spaces.md)"
    )
    scheduler: Literal["asha", "hyperband", "median", "pbt", "none"] = Field(
        default="asha", description="which trials are stopped early (see docs/tuning.md)"
    )
    seed: Seed = Field(default=0, description="of the search; its trials train with seeds[0]")
    reduction: float = Field(
        default=4.0,
        ge=1.5,
        le=100,
        description="of asha and hyperband: one trial in so many goes on",
    )
    grace: float = Field(
        default=1 / 16,
        gt=0,
        lt=1,
        description="share of the largest budget before which no trial is stopped",
    )
    measurements: int = Field(
        default=8, ge=2, le=100, description="of median: how often a trial is measured"
    )
    generations: int = Field(
        default=4, ge=2, le=100, description="of pbt: parts of training, with a choice after each"
    )
    refit: bool = Field(
        default=True, description="train the best setting of each group with every seed"
    )
    defaults: bool = Field(
        default=True, description="train the arms at the preset's settings too, to compare with"
    )
    max_hours: PositiveFloat | None = Field(
        default=None,
        description="of this command's search, once all that it needs of others is trained; the "
        "best so far is taken then",
    )
    max_trials: PositiveInt | None = Field(
        default=None,
        description="of all groups together, those of earlier commands counted; the best so far is "
        "taken then",
    )
    warm_start: str | None = Field(
        default=None,
        description="run directory of an earlier search; counts as it is when this one begins",
    )

    @property
    def parts(self) -> int:
        """Parts of a trial's training, each trained as a trial of its own."""
        return self.generations if self.scheduler == "pbt" else 1

    @model_validator(mode="after")
    def _fits(self) -> Self:
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

    tune: TuneConfig = TuneConfig()
    space: Space

    @classmethod
    def runtime_keys(cls) -> dict[str, Any]:
        """Also what may change when a search is gone on with: what it has found stays valid."""
        going_on = {"trials", "refit", "defaults", "max_hours", "max_trials"}
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
    there = {
        "arm": list(define.arms),
        "model": list(dict.fromkeys((*define.models, *experiment.models))),
        "task": list(define.tasks),
    }
    for key, parameter in space.parameters.items():
        for condition, names in there.items():
            for name in parameter.when.get(condition, ()):
                if name not in names:
                    raise ConfigError(
                        f"space {space.name}: {key}: when {condition}: {name} is unknown"
                        f"{nearest(str(name), sorted(names))}"
                    )
