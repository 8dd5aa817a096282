"""YAML as plain values, within limits that keep a small file from filling the memory.

An alias stands for a whole branch and an interpolation for another value, so a page of either can
describe more values than any machine holds.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    InterpolationToMissingValueError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from trainables.errors import ConfigError

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
MAX_VALUES = 20_000
MAX_INTERPOLATIONS = 200

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> DictConfig:
    """A YAML file that is a mapping of keys to values.

    Raises:
        ConfigError: it is none, or goes beyond the limits.
    """
    try:
        if not path.is_file():
            raise ValueError("it is no file")
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
        text = path.read_text(encoding="utf-8-sig")
        check_yaml(text)
        values = OmegaConf.load(io.StringIO(text))
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, TypeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: cannot be read as YAML: {reason}") from error
    if not isinstance(values, DictConfig):
        raise ConfigError(f"{path}: a preset is a mapping of keys to values")
    return values


def check_yaml(text: str) -> None:
    """Count what a YAML text describes, each alias as all that it stands for.

    Raises:
        ValueError: it goes beyond the limits, or an alias stands for what holds it.
        YAMLError: it is no YAML.
    """
    sizes: dict[str, int] = {}
    branches: list[tuple[str | None, int]] = []
    total = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in {anchor for anchor, _ in branches}:
                raise ValueError(f"the alias *{event.anchor} stands for what holds it")
            total += sizes.get(event.anchor, 0)
        elif isinstance(event, yaml.CollectionStartEvent):
            branches.append((event.anchor, total))
            total += 1
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
            if event.anchor is not None:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = branches.pop()
            if anchor is not None:
                sizes[anchor] = total - before
        if len(branches) > MAX_DEPTH:
            raise ValueError(f"values lie more than {MAX_DEPTH} deep in one another")
        if total > MAX_VALUES:
            raise ValueError(f"it describes more than {MAX_VALUES:,} values")


def resolved(values: DictConfig) -> dict[Any, Any]:
    """Plain values, with each ``${key}`` replaced by the value of that key, which must be plain.

    Raises:
        ConfigError: too many interpolations, or one that points to another.
        OmegaConfBaseException: one that points nowhere.
    """
    plain = OmegaConf.to_container(values, resolve=False)
    texts = dict(_interpolations(plain))
    if not texts:
        return plain  # type: ignore[return-value]
    if len(texts) > MAX_INTERPOLATIONS:
        raise ConfigError(f"there are more than {MAX_INTERPOLATIONS} interpolations ${{...}}")
    for *path, key in texts:
        _at(plain, path)[key] = "???"
    # Here every interpolation is a missing value, so that none can point to another.
    masked = OmegaConf.create(plain)
    for (*path, key), text in texts.items():
        parent = _at(masked, path)
        parent[key] = text
        try:
            value = parent[key]
            if OmegaConf.is_config(value):
                value = OmegaConf.to_container(value, throw_on_missing=True)
        except (InterpolationToMissingValueError, MissingMandatoryValue) as error:
            raise ConfigError(
                f"{'.'.join(map(str, [*path, key]))}: {text} stands for what is missing or "
                "interpolates itself; write the value"
            ) from error
        finally:
            parent[key] = "???"
        _at(plain, path)[key] = value
    return plain  # type: ignore[return-value]


def _interpolations(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, str]]:
    """Path and text of every string that interpolates."""
    if isinstance(value, str) and "${" in value:
        yield path, value
    elif isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _interpolations(part, (*path, key))


def _at(value: Any, path: list[Any]) -> Any:
    for part in path:
        value = value[part]
    return value
