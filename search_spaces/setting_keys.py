"""The settings of a trial by their dotted keys, and which of them a search may choose.

The keys are those of the sections ``training``, ``model`` and ``arm``, read from their classes, so
a setting that is added there can be searched at once.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from search_spaces.findings import first_finding
from trainables.config.arms import STRATEGIES, NaiveConcatArm, SharedEncoderArm, SingleTaskArm
from trainables.config.trial import ModelConfig, TrainingConfig

SECTIONS: dict[str, tuple[type[BaseModel], ...]] = {
    "training": (TrainingConfig,),
    "model": (ModelConfig,),
    "arm": (SingleTaskArm, NaiveConcatArm, SharedEncoderArm),
}
GROUP_FACTS = ("strategy", "arm", "model", "task")
"""What is known of a group of cells besides its settings."""

_ALIKE = "must be the same for all arms"
_MEASURED = "changes how a trial is measured or computed, not what it learns"
_MODEL = "is what the model is; define another model to compare with"
_ARM = "is what the arm is; define another arm to compare with"
NOT_SEARCHED = {
    "training.budget": _ALIKE,
    "training.early_stopping": _ALIKE,
    "training.keep": _ALIKE,
    "training.evaluate_test": _MEASURED,
    "training.eval_batch_size": _MEASURED,
    "training.precision": _MEASURED,
    "training.gradient_accumulation": _MEASURED,
    "model.encoder": _MODEL,
    "model.revision": _MODEL,
    "model.num_layers": _MODEL,
    "model.weights": _MODEL,
    "arm.strategy": _ARM,
    "arm.label": _ARM,
    "arm.tasks": _ARM,
    "arm.train_fraction": _ARM,
    "arm.start_from": _ARM,
    "arm.label_space": _ARM,
    "arm.task_heads": _ARM,
    "arm.distillation.teachers": _ARM,
    "arm.distillation.seeds": _ARM,
    "arm.training": "is written training.KEY in a space",
}
"""Settings that a search must not choose, with the reason."""


@dataclass(frozen=True)
class Setting:
    """One setting of a trial.

    Attributes:
        kind: its type, constraints included.
        strategies: those that have it.
        sections: keys of the sections around it that may be absent, such as ``arm.adapter``.
        by_name: whether it is a mapping, whose keys stand behind another dot.
    """

    kind: Any
    strategies: tuple[str, ...]
    sections: tuple[str, ...]
    by_name: bool

    def there(self, facts: Mapping[str, Any]) -> bool:
        """Whether the group of ``facts`` has such a setting, as far as they tell."""
        return facts.get("strategy", self.strategies[0]) in self.strategies and all(
            facts.get(section, "there") is not None for section in self.sections
        )

    def refusal(self, value: Any) -> str | None:
        """Why it cannot be ``value``; none: it can."""
        try:
            # As strict as a preset is: "3" or true may not become 3.
            TypeAdapter(self.kind).validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            return first_finding(error)
        return None


@cache
def settings() -> dict[str, Setting]:
    """Every setting by its key; the key of a mapping stands for all that is in it."""
    found: dict[str, Setting] = {}
    for section, classes in SECTIONS.items():
        for model in classes:
            own = get_args(model.model_fields["strategy"].annotation) if section == "arm" else ()
            for key, kind, sections in _leaves(model, section, ()):
                strategies = own or STRATEGIES
                if key in found:
                    strategies = (*found[key].strategies, *own)
                by_name = get_origin(kind) is dict
                value = get_args(kind)[1] if by_name else kind
                found[key] = Setting(value, strategies, sections, by_name)
    return found


def find_setting(key: str) -> Setting | None:
    """The setting of a key; none: there is no such."""
    whole = settings().get(key)
    if whole is not None:
        return None if whole.by_name else whole
    mapping = settings().get(key.rpartition(".")[0])
    return mapping if mapping is not None and mapping.by_name else None


def why_not(key: str) -> str | None:
    """The reason for which a key is not searched; none: it may be."""
    parts = key.split(".")
    above = [".".join(parts[:n]) for n in range(1, len(parts) + 1)]
    return next((NOT_SEARCHED[name] for name in above if name in NOT_SEARCHED), None)


def searchable() -> list[str]:
    """The keys that a search may choose."""
    names = {key: f"{key}.NAME" if setting.by_name else key for key, setting in settings().items()}
    return [name for key, name in names.items() if why_not(key) is None]


def nearest_key(key: str, valid: list[str]) -> str:
    """``; did you mean X?``, or what there is in the section of ``key``."""
    section, _, rest = key.partition(".")
    whole: dict[str, str] = {}
    if section in SECTIONS and rest:
        whole = {k.partition(".")[2]: k for k in valid if k.startswith(f"{section}.")}
    else:
        rest = section = key.rpartition(".")[2]
        for k in valid:
            whole.setdefault(k.rpartition(".")[2], k)
    near = get_close_matches(rest, whole, n=1)
    if near:
        return f"; did you mean {whole[near[0]]}?"
    if rest != section:
        return f"; there are {', '.join(whole.values())}"
    return "; a key is written whole, such as training.learning_rate or arm.sampling.name"


def _leaves(
    model: type[BaseModel], prefix: str, sections: tuple[str, ...]
) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    for name, field in model.model_fields.items():
        key = f"{prefix}.{name}"
        kinds = _alternatives(field.annotation)
        section = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
        if section is None:
            kind = field.annotation
            for constraint in field.metadata:
                kind = Annotated[kind, constraint]
            yield key, kind, sections
        else:
            absent = (key,) if NoneType in kinds else ()
            yield from _leaves(section, key, (*sections, *absent))


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    union = get_origin(annotation) in (Union, UnionType)
    return get_args(annotation) if union else (annotation,)
