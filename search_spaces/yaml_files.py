"""YAML as plain values, within limits that keep a small file from filling the memory.

An alias stands for a whole branch, so a page of them can describe more values than any machine
holds.
"""

import io
from copy import deepcopy
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trainables.errors import ConfigError

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
MAX_VALUES = 20_000

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def find_yaml(kind: str, name: str, folder: Path) -> Path:
    """The file of a name, or of the path of a user's own.

    Args:
        kind: what it holds, for messages: preset or space.
        name: a name, or a path that ends in ``.yaml`` or ``.yml``.
        folder: where those that come with the project lie.

    Raises:
        ConfigError: there is none; names the nearest.
    """
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise ConfigError(f"{name}: no such {kind} file")
        return Path(name)
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ConfigError(
            f"{kind} {name}: unknown; {hint}there are {', '.join(names)}, "
            "or give the path of a .yaml file"
        )
    return folder / f"{name}.yaml"


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
        # A copy takes a third of the time, and a command reads the same files again and again.
        values = deepcopy(_parsed(path.read_text(encoding="utf-8-sig")))
        if isinstance(values, DictConfig):
            return values
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, TypeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: cannot be read as YAML: {reason}") from error
    raise ConfigError(f"{path}: it is no mapping of keys to values")


@lru_cache(maxsize=8)
def _parsed(text: str) -> Any:
    """The values of a YAML text, for ``read_yaml``; not to be changed."""
    check_yaml(text)
    values = OmegaConf.load(io.StringIO(text))
    return without_interpolation(values) if isinstance(values, DictConfig) else values


def check_yaml(text: str) -> None:
    """Count what a YAML text describes, each alias as all that it stands for.

    Raises:
        ValueError: it goes beyond the limits, or an alias stands for what holds it.
        YAMLError: it is no YAML.
    """
    sizes: dict[str | None, int] = {}
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
            sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = branches.pop()
            sizes[anchor] = total - before
        if len(branches) > MAX_DEPTH:
            raise ValueError(f"values lie more than {MAX_DEPTH} deep in one another")
        if total > MAX_VALUES:
            raise ValueError(f"it describes more than {MAX_VALUES:,} values")


def without_interpolation(values: DictConfig) -> DictConfig:
    """``values``, if OmegaConf has nothing to put into them, such as ``${oc.env:NAME}``.

    Raises:
        ValueError: it has: a stranger's preset is to read no environment variable.
    """

    def check(value: Any) -> None:
        if isinstance(value, dict | list):
            for part in value.values() if isinstance(value, dict) else value:
                check(part)
        elif isinstance(value, str) and "${" in value:
            raise ValueError(f"{value:.60}: nothing is put in place of ${{...}}; write the value")

    check(OmegaConf.to_container(values, resolve=False))
    return values
