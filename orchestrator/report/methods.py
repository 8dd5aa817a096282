"""How an arm is trained, in the words of its settings: what its name stands for."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from orchestrator.report.formats import plain
from trainables.arms import ArmConfig

STRATEGIES = {
    "single_task": "an encoder and a head per task",
    "naive_concat": "all examples pooled, one classifier",
    "shared_encoder": "one encoder, a head per task",
}


def method(arm: ArmConfig) -> str:
    """One line: the strategy, then every setting that is not its default, by its key.

    For example ``one encoder, a head per task; sampling uniform (batch joint); aggregation
    pcgrad``; ``docs/methods.md`` lists what each name stands for.
    """
    return plain("; ".join([STRATEGIES[arm.strategy], *_settings(arm)]))


def method_by_task(arms: Mapping[str, ArmConfig]) -> str:
    """The same where a search may have found other settings for each task.

    Args:
        arms: task -> the arm with the settings of that task's model; one strategy.
    """
    first, *others = arms.values()
    if all(_settings(arm) == _settings(first) for arm in others):
        return method(first)
    own = (
        f"{task}: {'; '.join(_settings(arm)) or 'as the preset has it'}"
        for task, arm in arms.items()
    )
    return plain("; ".join([STRATEGIES[first.strategy], *own]))


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
