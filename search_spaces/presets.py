"""Presets: YAML files of pure values, laid over the catalogue of names.

A preset is a name (a file in ``search_spaces/presets``) or the path of a user's own YAML file.
Overrides are ``key=value`` with dotted keys; the value is YAML, so ``seeds=[1,2]`` is a list.
Mappings are merged key by key; a list takes a mapping's place, and a mapping a list's. Where a
preset or an override chooses another method, by ``weighting.name`` for example, settings that only
the former method has are dropped.
"""

from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from search_spaces.renamed_keys import with_new_names
from search_spaces.yaml_files import (
    MAX_DEPTH,
    check_yaml,
    find_yaml,
    read_yaml,
    without_interpolation,
)
from trainables.config.methods import METHODS, own_settings
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
            layer = with_new_names(read_yaml(find_preset(preset)))
            before = _names(_methods(merged))
            _merge(merged, layer)
            _drop_former_settings(merged, before, [layer])
        before = _names(_methods(merged))
        layers = [_override(merged, override) for override in overrides]
        _drop_former_settings(merged, before, layers)
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


Methods = dict[tuple[Any, str], DictConfig]
"""Name of an arm and kind of method -> its section."""


def _methods(values: DictConfig) -> Methods:
    """The method sections of all arms."""
    arms = OmegaConf.select(values, "define.arms")
    return {
        (name, section): arm[section]
        for name, arm in (arms.items() if isinstance(arms, DictConfig) else ())
        if isinstance(arm, DictConfig)
        for section in METHODS
        if isinstance(arm.get(section), DictConfig)
    }


def _names(methods: Methods) -> dict[tuple[Any, str], str | None]:
    return {key: settings.get("name") for key, settings in methods.items()}


def _drop_former_settings(
    merged: DictConfig, before: dict[tuple[Any, str], str | None], layers: list[DictConfig]
) -> None:
    """Where ``layers`` chose another method, drop the former's settings that they did not give."""
    given = [_methods(layer) for layer in layers]
    for key, settings in _methods(merged).items():
        name = settings.get("name")
        if before.get(key, name) != name:
            for setting in set(settings) - set(own_settings(key[1], settings)):
                if not any(setting in methods.get(key, ()) for methods in given):
                    settings.pop(setting)


def _merge(values: DictConfig, layer: DictConfig) -> None:
    """Merge a layer into the values, in place."""
    _drop_other_kinds(values, layer)
    values.merge_with(layer)


def _drop_other_kinds(values: DictConfig, layer: DictConfig) -> None:
    """Drop the lists whose place a mapping of the layer takes, and the other way round."""
    for key in layer:
        # OmegaConf refuses to merge the two.
        old, new = values.get(key), layer.get(key)
        if isinstance(old, DictConfig) and isinstance(new, DictConfig):
            _drop_other_kinds(old, new)
        elif {type(old), type(new)} == {DictConfig, ListConfig}:
            values.pop(key)


def _override(values: DictConfig, override: str) -> DictConfig:
    """Merge an override into the values, in place: a copy for each would take most of the time.

    Returns:
        What the override gives.
    """
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
        given = with_new_names(without_interpolation(OmegaConf.from_dotlist([override])))
        _merge(values, given)
    except (YAMLError, OmegaConfBaseException, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{override:.80}: cannot be applied: {reason}") from error
    return given
