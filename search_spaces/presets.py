"""Presets: YAML files of pure values, laid over the catalogue of names.

A preset is a name (a file in ``search_spaces/presets``) or the path of a user's own YAML file.
Overrides are ``key=value`` with dotted keys; the value is YAML, so ``seeds=[1,2]`` is a list.
``${key}`` takes the value of another key. Nothing else is resolved: a stranger's preset reads no
environment variable.
"""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

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
    merged = OmegaConf.create({"define": _read(CATALOGUE)})
    try:
        if preset is not None:
            merged = _merge(merged, _read(find_preset(preset)))
        for override in overrides:
            merged = _override(merged, override)
        values = OmegaConf.to_container(merged, resolve=True)
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{preset or 'overrides'}: cannot be merged: {reason}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{preset}: a preset is a mapping of keys to values")
    return {str(key): value for key, value in values.items()}


def find_preset(preset: str) -> Path:
    """The file of a preset.

    Raises:
        ConfigError: there is none; names the nearest.
    """
    if preset.endswith((".yaml", ".yml")):
        path = Path(preset)
        if not path.is_file():
            raise ConfigError(f"{preset}: no such preset file")
        return path
    path = FOLDER / f"{preset}.yaml"
    if preset not in preset_names():
        near = get_close_matches(preset, preset_names(), n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ConfigError(
            f"preset {preset}: unknown; {hint}there are {', '.join(preset_names())}, "
            "or give the path of a .yaml file"
        )
    return path


def _read(path: Path) -> DictConfig:
    try:
        values = OmegaConf.load(path)
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: cannot be read as YAML: {reason}") from error
    if not isinstance(values, DictConfig):
        raise ConfigError(f"{path}: a preset is a mapping of keys to values")
    try:
        return _without_resolvers(values)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


def _override(values: DictConfig, override: str) -> DictConfig:
    key, equals, value = override.partition("=")
    if not equals or not all(part.strip() for part in key.split(".")) or set(key) & set("[]"):
        raise ConfigError(
            f"{override:.80}: an override is key=value, for example training.epochs=4"
        )
    try:
        # OmegaConf would keep the old value without a word.
        if value.strip() == "???":
            raise ValueError("??? stands for a value that is missing")
        return _merge(values, _without_resolvers(OmegaConf.from_dotlist([override])))
    except (YAMLError, OmegaConfBaseException, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{override:.80}: cannot be applied: {reason}") from error


def _without_resolvers(values: DictConfig) -> DictConfig:
    """``values``, if OmegaConf has nothing to compute in them, such as ``${oc.env:NAME}``.

    Raises:
        ValueError: it has; a colon after ``${`` is taken for a sign of it, since they nest.
    """

    def check(value: Any) -> None:
        if isinstance(value, dict | list):
            for part in value.values() if isinstance(value, dict) else value:
                check(part)
        elif isinstance(value, str) and ":" in value.partition("${")[2]:
            raise ValueError(f"{value:.60}: only ${{key}} is resolved; write the value itself")

    check(OmegaConf.to_container(values, resolve=False))
    return values


def _merge(values: DictConfig, more: DictConfig) -> DictConfig:
    merged = OmegaConf.merge(values, more)
    assert isinstance(merged, DictConfig)
    return merged
