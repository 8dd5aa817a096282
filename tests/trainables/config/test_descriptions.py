"""Every setting is described, and the examples in docstrings give what they say."""

import doctest
import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

import trainables.config
import trainables.training.aggregation
import trainables.training.weighting
from orchestrator.config.experiment import SingleTrialConfig
from orchestrator.config.search import TunedExperimentConfig
from trainables.config.trial import Runtime, TrialConfig


def sections(kind: Any) -> Iterator[type[BaseModel]]:
    """The classes of settings in a type, with those of their fields."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
        for field in kind.model_fields.values():
            yield from sections(field.annotation)
    for argument in get_args(kind):
        yield from sections(argument)


@pytest.mark.parametrize("root", [TunedExperimentConfig, SingleTrialConfig, TrialConfig, Runtime])
def test_every_setting_has_a_description(root: type[BaseModel]) -> None:
    missing = {
        f"{section.__name__}.{name}"
        for section in sections(root)
        for name, field in section.model_fields.items()
        if not field.description or field.description.startswith("none")
    }
    assert not missing


def modules() -> list[str]:
    packages = (trainables.config, trainables.training.aggregation, trainables.training.weighting)
    return [
        module.name
        for package in packages
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    ]


@pytest.mark.parametrize("name", modules())
def test_the_examples_of_docstrings(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
