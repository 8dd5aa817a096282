"""Tiny models of every family, and configurations that point at them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.tiny_models import FAMILIES, build
from trainables.config.trial import ModelConfig


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Family -> folder; never changed by a test."""
    root = tmp_path_factory.mktemp("families")
    return {family: build(family, root / family) for family in FAMILIES}


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    """Each family in turn."""
    return request.param


@pytest.fixture
def configure(tiny_models: dict[str, Path]) -> Callable[..., ModelConfig]:
    """``configure("bert", num_layers=1)``: a family or a folder, and changes."""

    def make(encoder: str | Path, **changes: Any) -> ModelConfig:
        encoder = tiny_models.get(str(encoder), encoder)
        return ModelConfig.model_validate({"encoder": str(encoder), "max_length": 32, **changes})

    return make


@pytest.fixture
def copied(tiny_models: dict[str, Path]) -> Callable[[str, Path], Path]:
    """``copied("bert", folder)``: a copy of a tiny model that a test may change."""

    def copy(family: str, folder: Path) -> Path:
        shutil.copytree(tiny_models[family], folder)
        return folder

    return copy
