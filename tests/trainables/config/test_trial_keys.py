"""Trial keys stay as they are, and what earlier versions wrote of a trial is read as it was."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.config.experiment import load_experiment
from orchestrator.planning import grid
from orchestrator.planning.plan import make_plan
from search_spaces.presets import preset_names
from trainables.config.trial import CODE_SCHEMA, TrialConfig

STORED = json.loads((Path(__file__).parents[2] / "fixtures" / "trial_keys.json").read_text())
"""Keys of version fc1fbc3, of every preset's trials on the demo corpora with MiniLM, and of
configurations that use every method and setting, as that version wrote them to ``plan.json``:
``base`` with ``changes`` laid over it. ``ignored_settings`` are those with settings that their
methods do not use."""


def stored(entries: str) -> list[Any]:
    return [pytest.param(entry, id=entry["title"]) for entry in STORED[entries]]


THEN = {
    "full": ("seeds=[41,42,43]",),
    "paper": ("seeds=[41,42,43]",),
    "quick": (
        "seeds=[41,42]",
        "limits.max_train_examples=2000",
        "training={epochs: 1, batch_size: 16, learning_rate: 2.0e-4}",
    ),
}
"""What presets that have changed were in that version."""


@pytest.mark.parametrize("preset", STORED["presets"])
def test_the_trials_of_every_preset_keep_their_keys(
    preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid, "CODE_SCHEMA", 2)
    settings = ["data.source=demo", "models=[minilm-l6]", *THEN.get(preset, ())]
    plan = make_plan(load_experiment(preset, settings))
    keys = {trial.config.title: trial.key for trial in plan.trials}
    assert keys == STORED["presets"][preset]


def test_trials_have_other_keys_where_the_code_gives_other_numbers() -> None:
    plan = make_plan(load_experiment("demo", ["models=[minilm-l6]"]))
    assert {trial.config.code_schema for trial in plan.trials} == {CODE_SCHEMA}
    assert not {trial.key for trial in plan.trials} & set(STORED["presets"]["demo"].values())


def test_every_preset_of_that_version_is_here() -> None:
    assert set(STORED["presets"]) <= set(preset_names())


@pytest.mark.parametrize("entry", stored("configs") + stored("ignored_settings"))
def test_a_stored_configuration_keeps_its_key(entry: dict[str, Any]) -> None:
    config = TrialConfig.model_validate(STORED["base"] | entry["changes"])
    assert config.key == entry["key"]
    # Also as it is written now.
    assert TrialConfig.model_validate_json(config.model_dump_json()) == config
    assert TrialConfig.model_validate(config.model_dump(mode="json")).key == entry["key"]


@pytest.mark.parametrize("entry", stored("configs"))
def test_a_method_has_its_own_settings_alone(entry: dict[str, Any]) -> None:
    config = TrialConfig.model_validate(STORED["base"] | entry["changes"])
    assert not config.ignored
    weighting = config.model_dump(mode="json")["arm"].get("weighting", {})
    assert ("temperature" in weighting) == (weighting.get("name") == "dwa")


def test_a_setting_that_a_method_does_not_use_is_part_of_the_key_alone() -> None:
    for entry in STORED["ignored_settings"]:
        config = TrialConfig.model_validate(STORED["base"] | entry["changes"])
        assert config.ignored
        assert config.model_copy(update={"ignored": {}}).key != config.key


def test_a_trial_that_is_not_deterministic_is_another_trial() -> None:
    base = STORED["base"] | STORED["configs"][0]["changes"]
    config = TrialConfig.model_validate(base)
    training = config.training.model_copy(update={"deterministic": False})
    assert config.model_copy(update={"training": training}).key != config.key


def test_configurations_that_differ_in_their_seeds_share_the_rest_and_are_what_they_were() -> None:
    known: dict[bytes, TrialConfig] = {}
    for entry in STORED["configs"] + STORED["ignored_settings"]:
        for seed in (41, 0):
            values = STORED["base"] | entry["changes"] | {"seed": seed}
            shared = TrialConfig.model_validate(values, context=known)
            assert shared == TrialConfig.model_validate(values)
    first, second = (
        TrialConfig.model_validate(STORED["base"] | {"seed": seed}, context=known)
        for seed in (1, 2)
    )
    assert first.tasks is second.tasks


@pytest.mark.parametrize(
    "damage",
    [{"seed": -1}, {"seed": "x"}, {"seed": None}, {"model_name": 1}, {"tuned": 2}, {"": 0}],
)
def test_a_damaged_configuration_is_refused_beside_a_sound_one(damage: dict[str, Any]) -> None:
    known: dict[bytes, TrialConfig] = {}
    TrialConfig.model_validate(STORED["base"], context=known)
    for context in (known, None):
        with pytest.raises(ValidationError):
            TrialConfig.model_validate(STORED["base"] | damage, context=context)
