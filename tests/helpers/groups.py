"""Groups to search: the arms of the catalogue and some more, as spaces see them."""

from typing import Any

from pydantic import TypeAdapter

from search_spaces.group_settings import group_facts
from search_spaces.presets import load_values
from trainables.config.arms import ArmConfig
from trainables.config.trial import ModelConfig, TrainingConfig

MODEL = ModelConfig(encoder="minilm-l6")
TRAINING = TrainingConfig()
MORE = {
    "fixed": {"strategy": "shared_encoder", "weighting": {"name": "fixed", "weights": {"cola": 2}}},
    "student": {"strategy": "single_task", "distillation": {"teachers": "single_task"}},
}
ARMS: dict[str, Any] = {
    name: TypeAdapter(ArmConfig).validate_python(values)
    for name, values in (load_values(None, [])["define"]["arms"] | MORE).items()
}


def facts(arm: str = "shared_encoder", task: str | None = None) -> dict[str, Any]:
    """What is known of an arm with the default model and training."""
    return group_facts(arm, ARMS[arm], "minilm-l6", MODEL, TRAINING, task)
