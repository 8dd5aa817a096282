"""How an arm is trained, in the words of its settings: what its name stands for."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from orchestrator.text import plain
from trainables.config.arms import ArmConfig

STRATEGIES = {
    "single_task": "an encoder and a head per task",
    "naive_concat": "all examples pooled, one classifier",
    "shared_encoder": "one encoder, a head per task",
}


def method(arms: Mapping[str, ArmConfig]) -> str:
    """One line: the strategy, then every setting that is not its default, by its key.

    For example ``one encoder, a head per task; sampling uniform (batch joint); aggregation
    pcgrad``; ``docs/methods.md`` lists what each name stands for.

    Args:
        arms: task -> the arm with the settings of that task's model; a search may have found other
            ones for each task, which are then told task by task.
    """
    first, *others = arms.values()
    told = _settings(first)
    if any(_settings(arm) != told for arm in others):
        told = [
            f"{task}: {'; '.join(_settings(arm)) or 'as the preset has it'}"
            for task, arm in arms.items()
        ]
    return plain("; ".join([STRATEGIES[first.strategy], *told]))


def _settings(arm: ArmConfig) -> list[str]:
    return [
        f"{key} {_told(getattr(arm, key))}"
        for key in arm.model_dump(exclude_defaults=True)
        if key not in ("strategy", "label")
    ]


def _told(value: Any) -> str:
    """A setting; of a section its ``name``, and in brackets what else is not its default."""
    if isinstance(value, BaseModel):
        rest = {key: getattr(value, key) for key in value.model_dump(exclude_defaults=True)}
        name = getattr(value, "name", None)
        rest.pop("name", None)
        told = f"({_told(rest)})" if rest else ""
        return f"{name} {told}".strip() if name else told
    if isinstance(value, dict):
        return ", ".join(f"{key} {_told(item)}" for key, item in value.items())
    if isinstance(value, (tuple, list)):
        return ", ".join(map(_told, value))
    return str(value)
