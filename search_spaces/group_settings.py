"""A group of cells that is searched together: what is known of it, and how a setting is laid over.

A group is one arm, model and, for ``single_task``, task: what has a setting of its own.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from trainables.config.arms import ArmConfig
from trainables.config.explain import explain
from trainables.config.methods import METHODS, own_settings
from trainables.config.trial import ModelConfig, TrainingConfig
from trainables.errors import ConfigError


def group_facts(
    arm_name: str,
    arm: ArmConfig,
    model_name: str,
    model: ModelConfig,
    training: TrainingConfig,
    task: str | None = None,
) -> dict[str, Any]:
    """What a space's ``when`` can ask of a group.

    Args:
        arm_name, arm, model_name, model: the arm and model.
        training: the grid's settings with the arm's own laid over them.
        task: of ``single_task``, the task.

    Returns:
        ``strategy``, ``arm``, ``model`` and ``task`` (absent where there is none), and every
        configured value by its dotted key, such as ``arm.sampling.name``; a section that is
        absent is none under its own key, such as ``arm.adapter``.
    """
    facts: dict[str, Any] = {"strategy": arm.strategy, "arm": arm_name, "model": model_name}
    if task is not None:
        facts["task"] = task
    for section, values in (("arm", arm), ("model", model), ("training", training)):
        facts |= _flat(section, values.model_dump(mode="json"))
    return facts


def with_settings(
    chosen: Mapping[str, Any], arm: ArmConfig, model: ModelConfig, training: TrainingConfig
) -> tuple[ArmConfig, ModelConfig, TrainingConfig]:
    """The sections of a trial with a setting laid over them.

    Args:
        chosen: dotted key -> value, as ``suggest`` gives it.
        arm, model, training: as configured.

    Raises:
        ConfigError: values that cannot stand together, such as a weighting and a sampling.
    """
    sections: dict[str, Any] = {
        name: section.model_dump(mode="json")
        for name, section in (("arm", arm), ("model", model), ("training", training))
    }
    for key, value in chosen.items():
        *path, name = key.split(".")
        values = sections
        for part in path:
            # The configured method may lack a mapping that the chosen one has.
            values = values.setdefault(part, {})
        values[name] = value
    for section in METHODS:
        if f"arm.{section}.name" in chosen:
            # The configured method may have had settings that the chosen one does not have.
            sections["arm"][section] = own_settings(section, sections["arm"][section])
    return (
        _validated("arm", ArmConfig, sections),
        _validated("model", ModelConfig, sections),
        _validated("training", TrainingConfig, sections),
    )


def _validated(section: str, kind: Any, sections: Mapping[str, Any]) -> Any:
    try:
        text = json.dumps(sections[section])
        return TypeAdapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        raise ConfigError(f"{section}: {explain(error, kind)}") from error


def _flat(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}.{name}"
        flat |= _flat(key, value) if isinstance(value, dict) else {key: value}
    return flat
