"""The settings of a trial by their dotted keys, and which of them a search may choose.

The keys are those of the sections ``training``, ``model`` and ``arm``, read from their classes, so
a setting that is added there can be searched at once.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from trainables.config.arms import STRATEGIES, NaiveConcatArm, SharedEncoderArm, SingleTaskArm
from trainables.config.base import Settings
from trainables.config.explain import explain
from trainables.config.methods import names_of
from trainables.config.trial import ModelConfig, TrainingConfig

SECTIONS: dict[str, tuple[type[Settings], ...]] = {
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
    "training.predict_test": _MEASURED,
    "training.eval_batch_size": _MEASURED,
    "training.gradient_cosines": _MEASURED,
    "training.precision": _MEASURED,
    "training.deterministic": _MEASURED,
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
        choices: key of a method's name, or of another choice -> its values with which there is
            such a setting, for example ``arm.weighting.name`` -> ``("dwa",)``.
        by_name: whether it is a mapping, whose keys stand behind another dot.
    """

    kind: Any
    strategies: tuple[str, ...]
    sections: tuple[str, ...]
    choices: dict[str, tuple[str, ...]]
    by_name: bool

    def exists(self, facts: Mapping[str, Any]) -> bool:
        """Whether the group of ``facts`` has such a setting, as far as they tell."""
        return (
            facts.get("strategy", self.strategies[0]) in self.strategies
            and all(facts.get(section, "present") is not None for section in self.sections)
            and all(facts.get(key, values[0]) in values for key, values in self.choices.items())
        )

    def refusal(self, value: Any) -> str | None:
        """Why it cannot be ``value``; None if it can."""
        try:
            # As strict as a preset is: "3" or true may not become 3.
            TypeAdapter(self.kind).validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            return explain(error, self.kind)
        return None


@cache
def settings() -> dict[str, Setting]:
    """Every setting by its key; the key of a mapping stands for all that is in it."""
    result: dict[str, Setting] = {}
    for section, classes in SECTIONS.items():
        for model in classes:
            own = get_args(model.model_fields["strategy"].annotation) if section == "arm" else ()
            for key, setting in _leaves(model, section):
                strategies = (*result[key].strategies, *own) if key in result else own
                result[key] = replace(setting, strategies=strategies or STRATEGIES)
    return result


def find_setting(key: str) -> Setting | None:
    """The setting of a key, else None."""
    whole = settings().get(key)
    if whole is not None:
        return None if whole.by_name else whole
    mapping = settings().get(key.rpartition(".")[0])
    return mapping if mapping is not None and mapping.by_name else None


def why_not(key: str) -> str | None:
    """The reason for which a key is not searched, else None."""
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


def _leaves(model: type[Settings], prefix: str) -> Iterator[tuple[str, Setting]]:
    for name, field in model.model_fields.items():
        choices: dict[str, tuple[str, ...]] = {}
        if name in model.only_with:
            choice, values = model.only_with[name]
            choices[f"{prefix}.{choice}"] = values
        key = f"{prefix}.{name}"
        kinds = [k for k in _alternatives(field.annotation) if _is_section(k)]
        for kind in kinds:
            for inner, setting in _leaves(kind, key):
                if len(kinds) > 1:
                    setting = _of_union(setting, inner.removeprefix(f"{key}."), key, kinds)
                if NoneType in _alternatives(field.annotation):
                    setting = replace(setting, sections=(key, *setting.sections))
                yield inner, setting
        if not kinds:
            annotation = field.annotation
            for constraint in field.metadata:
                annotation = Annotated[annotation, constraint]
            by_name = get_origin(annotation) is dict
            value = get_args(annotation)[1] if by_name else annotation
            yield key, Setting(value, (), (), choices, by_name)


def _of_union(setting: Setting, name: str, key: str, kinds: list[type[Settings]]) -> Setting:
    """A setting ``name`` of a union of methods at ``key``: all names, or those that have it."""
    if name == "name":
        names = tuple(name for kind in kinds for name in names_of(kind))
        return replace(setting, kind=Literal[names])  # pyright: ignore[reportInvalidTypeForm]
    methods = tuple(m for kind in kinds if name in kind.model_fields for m in names_of(kind))
    everywhere = all(name in kind.model_fields for kind in kinds)
    return replace(setting, choices={} if everywhere else {f"{key}.name": methods})


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Settings)


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    union = get_origin(annotation) in (Union, UnionType)
    return get_args(annotation) if union else (annotation,)
