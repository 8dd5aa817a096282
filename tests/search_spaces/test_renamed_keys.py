"""Old names of configuration keys: accepted with a hint, everywhere a key can stand."""

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from orchestrator.config.experiment import load_experiment, load_single_trial
from orchestrator.config.stored import upgraded
from search_spaces.presets import load_values
from search_spaces.renamed_keys import RENAMED
from trainables.errors import ConfigError, RenamedKeyWarning

CASES = {
    "tracking=[wandb]": ("tracking.trackers=[wandb]", "tracking is now called tracking.trackers"),
    "tracking=wandb": ("tracking.trackers=wandb", "tracking is now called tracking.trackers"),
    "wandb.project=mine": (
        "tracking.wandb.project=mine",
        "wandb.project is now called tracking.wandb.project",
    ),
    "wandb={project: mine, entity: us}": (
        "tracking.wandb={project: mine, entity: us}",
        "wandb is now called tracking.wandb",
    ),
    "mlflow.tracking_uri=http://host": (
        "tracking.mlflow.tracking_uri=http://host",
        "mlflow.tracking_uri is now called tracking.mlflow.tracking_uri",
    ),
    "checkpoint.patience=5": (
        "checkpoint.storage_timeout=5",
        "checkpoint.patience is now called checkpoint.storage_timeout",
    ),
}
"""An override with an old key -> the same with the new one, and the hint."""


def test_every_old_key_has_a_case() -> None:
    assert all(any(case.startswith(old) for case in CASES) for old in RENAMED)


@pytest.mark.parametrize("old", CASES)
def test_an_override_with_an_old_key(old: str) -> None:
    new, hint = CASES[old]
    with pytest.warns(RenamedKeyWarning, match=f"^{re.escape(hint)}$"):
        experiment = load_experiment("demo", [old])
    assert experiment == load_experiment("demo", [new])
    assert experiment != load_experiment("demo", [])
    with pytest.warns(RenamedKeyWarning):
        assert load_single_trial("single_task", [old]) == load_single_trial("single_task", [new])


@pytest.mark.parametrize("old", CASES)
def test_a_preset_with_an_old_key(old: str, tmp_path: Path) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text(OmegaConf.to_yaml(OmegaConf.from_dotlist([old])))
    with pytest.warns(RenamedKeyWarning):
        experiment = load_experiment(str(preset), [])
    preset.write_text(OmegaConf.to_yaml(OmegaConf.from_dotlist([CASES[old][0]])))
    assert experiment == load_experiment(str(preset), [])


def test_old_and_new_keys_are_merged_and_later_overrides_win() -> None:
    overrides = ["tracking=[wandb]", "tracking.wandb.project=b", "wandb.entity=us"]
    with pytest.warns(RenamedKeyWarning):
        tracking = load_experiment("demo", overrides).tracking
    assert tracking.trackers == ("wandb",)
    assert (tracking.wandb.project, tracking.wandb.entity) == ("b", "us")
    with pytest.warns(RenamedKeyWarning):
        values = load_values("demo", ["checkpoint.storage_timeout=1", "checkpoint.patience=2"])
    assert values["checkpoint"] == {"storage_timeout": 2}


@pytest.mark.parametrize("old", CASES)
def test_the_configuration_of_a_run_directory_is_read_without_a_hint(old: str) -> None:
    new = OmegaConf.to_container(OmegaConf.from_dotlist([CASES[old][0]]))
    assert upgraded(OmegaConf.from_dotlist([old])) == new


def test_what_is_wrong_is_said_of_the_new_key() -> None:
    with (
        pytest.warns(RenamedKeyWarning),
        pytest.raises(ConfigError, match=r"^tracking\.wandb\.projct: unknown key; did you mean"),
    ):
        load_experiment("demo", ["wandb.projct=x"])
