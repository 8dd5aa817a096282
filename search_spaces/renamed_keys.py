"""Configuration keys that have a new name; the old ones are accepted with a hint."""

import warnings
from typing import Any

from omegaconf import DictConfig, OmegaConf

from trainables.errors import RenamedKeyWarning

RENAMED = {
    "tracking": "tracking.trackers",
    "wandb": "tracking.wandb",
    "mlflow": "tracking.mlflow",
    "checkpoint.patience": "checkpoint.storage_timeout",
}
"""Old key -> new key. ``tracking`` is an old key unless its value is a mapping."""


def with_new_names(values: DictConfig, *, hint: bool = True) -> DictConfig:
    """A configuration with new keys in place of old ones; where both are given the new one holds.

    Args:
        values: the content of one preset, override or file.
        hint: whether a ``RenamedKeyWarning`` names each old key.
    """
    result = values.copy()
    for old, new in RENAMED.items():
        value = OmegaConf.select(result, old)
        if value is None or (new.startswith(f"{old}.") and isinstance(value, DictConfig)):
            continue
        section, _, name = old.rpartition(".")
        (OmegaConf.select(result, section) if section else result).pop(name)
        renamed = OmegaConf.create()
        OmegaConf.update(renamed, new, value)
        result = OmegaConf.merge(renamed, result)
        assert isinstance(result, DictConfig)
        if hint:
            key = _only_key(value)
            warnings.warn(f"{old}{key} is now called {new}{key}", RenamedKeyWarning, stacklevel=2)
    return result


def _only_key(value: Any) -> str:
    """``.KEY`` of a mapping with a single key, at every level."""
    if isinstance(value, DictConfig) and len(value) == 1:
        [name] = value
        return f".{name}{_only_key(value[name])}"
    return ""
