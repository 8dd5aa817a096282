"""How an arm is trained, in the words of its settings."""

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
        arms: task -> the arm with the settings of that task's model; where a search chose other
            settings for each task, they are listed task by task.
    """
    first, *others = arms.values()
    settings = _settings(first)
    if any(_settings(arm) != settings for arm in others):
        settings = [
            f"{task}: {'; '.join(_settings(arm)) or 'as the preset has it'}"
            for task, arm in arms.items()
        ]
    return plain("; ".join([STRATEGIES[first.strategy], *settings]))


def _settings(arm: ArmConfig) -> list[str]:
    return [
        f"{key} {_text(getattr(arm, key))}"
        for key in arm.model_dump(exclude_defaults=True)
        if key not in ("strategy", "label")
    ]


def _text(value: Any) -> str:
    """A setting; of a section its ``name``, and in brackets what else is not its default."""
    if isinstance(value, BaseModel):
        rest = {key: getattr(value, key) for key in value.model_dump(exclude_defaults=True)}
        name = getattr(value, "name", None)
        rest.pop("name", None)
        details = f"({_text(rest)})" if rest else ""
        return f"{name} {details}".strip() if name else details
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, (tuple, list)):
        return ", ".join(map(_text, value))
    return str(value)
