"""Presets: YAML files of pure values, laid over the catalogue of names.

A preset is a name (a file in ``search_spaces/presets``) or the path of a user's own YAML file.
Overrides are ``key=value`` with dotted keys; the value is YAML, so ``seeds=[1,2]`` is a list.
"""

from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from search_spaces.yaml_files import (
    MAX_DEPTH,
    check_yaml,
    find_yaml,
    read_yaml,
    without_interpolation,
)
from trainables.errors import ConfigError

FOLDER = Path(__file__).parent / "presets"
CATALOGUE = Path(__file__).parent / "catalogue.yaml"


def preset_names() -> list[str]:
    """Names of the presets that come with the project."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_values(preset: str | None, overrides: list[str]) -> dict[str, Any]:
    """Catalogue, preset and overrides merged, in this order, as plain values.

    Args:
        preset: a preset's name, the path of a YAML file, or none for the catalogue alone.
        overrides: ``key=value`` strings.

    Raises:
        ConfigError: no such preset, YAML that cannot be read, or an override without ``=``.
    """
    merged = OmegaConf.create({"define": _catalogue()})
    try:
        if preset is not None:
            merged.merge_with(read_yaml(find_preset(preset)))
        for override in overrides:
            _override(merged, override)
        values = OmegaConf.to_container(merged, resolve=False)
    except (OmegaConfBaseException, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{preset or 'overrides'}: cannot be merged: {reason}") from error
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


@cache
def _catalogue() -> DictConfig:
    return read_yaml(CATALOGUE)


def find_preset(preset: str) -> Path:
    """The file of a preset.

    Raises:
        ConfigError: there is none; names the nearest.
    """
    return find_yaml("preset", preset, FOLDER)


def _override(values: DictConfig, override: str) -> None:
    """Merge an override into the values, in place: a copy for each would take most of the time."""
    key, equals, value = override.partition("=")
    if not equals or not all(part.strip() for part in key.split(".")) or set(key) & set("[]"):
        raise ConfigError(
            f"{override:.80}: an override is key=value, for example training.epochs=4"
        )
    try:
        if key.count(".") > MAX_DEPTH:
            raise ValueError(f"a key has at most {MAX_DEPTH} dots")
        check_yaml(value)
        # OmegaConf would keep the old value without a word.
        if value.strip() == "???":
            raise ValueError("??? stands for a value that is missing")
        values.merge_with(without_interpolation(OmegaConf.from_dotlist([override])))
    except (YAMLError, OmegaConfBaseException, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{override:.80}: cannot be applied: {reason}") from error
