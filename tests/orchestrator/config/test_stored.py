"""Configurations of run directories that earlier versions wrote."""

from typing import Any

import pytest
from omegaconf import OmegaConf

from orchestrator.config.experiment import ExperimentConfig, load_experiment
from orchestrator.config.stored import upgraded
from search_spaces.presets import preset_names
from trainables.config.explain import validated
from trainables.config.flat import flattened
from trainables.errors import ConfigError


def old_form(experiment: ExperimentConfig) -> dict[str, Any]:
    """The resolved configuration as version fc1fbc3 wrote it."""
    values = experiment.model_dump(mode="json")
    arms = values["define"]["arms"]
    values["define"]["arms"] = {name: flattened(arm, {}) for name, arm in arms.items()}
    tracking = values.pop("tracking")
    values |= {"tracking": tracking.pop("trackers"), **tracking}
    values["checkpoint"]["patience"] = values["checkpoint"].pop("storage_timeout")
    return values


@pytest.mark.parametrize("preset", preset_names())
def test_an_old_configuration_is_the_same_as_the_new_one(preset: str) -> None:
    experiment = load_experiment(preset, ["tracking.trackers=[wandb]"])
    stored = OmegaConf.create(old_form(experiment))
    assert validated(ExperimentConfig, upgraded(stored)) == experiment


def test_a_setting_without_effect_is_refused_where_it_is_not_the_default() -> None:
    values = old_form(load_experiment("demo", []))
    values["define"]["arms"]["shared_encoder"]["weighting"]["temperature"] = 9.0
    with pytest.raises(ConfigError, match=r"weighting\.temperature: is not used with name=equal"):
        validated(ExperimentConfig, upgraded(OmegaConf.create(values)))


def test_a_search_loses_what_its_scheduler_does_not_use() -> None:
    values = {"tune": {"scheduler": "median", "grace": 0.3, "reduction": 3.0, "generations": 4}}
    assert upgraded(OmegaConf.create(values)) == {"tune": {"scheduler": "median", "grace": 0.3}}
    assert upgraded(OmegaConf.create({"tune": {"reduction": 3.0}})) == {"tune": {"reduction": 3.0}}


@pytest.mark.parametrize("values", [{}, {"define": 3}, {"define": {"arms": 3}}])
def test_damaged_files_are_left_to_validation(values: dict[str, Any]) -> None:
    assert upgraded(OmegaConf.create(values)) == values
