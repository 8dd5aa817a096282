"""Resolved configurations of run directories, also of those that earlier versions wrote."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from orchestrator.config.search import TuneConfig
from search_spaces.renamed_keys import with_new_names
from trainables.config.base import used_settings
from trainables.config.flat import unflattened


def upgraded(stored: DictConfig) -> dict[str, Any]:
    """The plain values of a stored configuration, with the keys of this version.

    Methods lose the settings that they do not use, as far as these have their defaults (others are
    part of trial keys); schedulers of searches lose any that they do not use.
    """
    values: Any = OmegaConf.to_container(with_new_names(stored, hint=False), resolve=False)
    define = values.get("define")
    arms = define.get("arms") if isinstance(define, dict) else None
    for name, arm in list(arms.items()) if isinstance(arms, dict) else ():
        if isinstance(arm, dict):
            own, ignored = unflattened(arm)
            for key, value in ignored.items():
                section, _, setting = key.rpartition(".")
                (own[section] if section else own)[setting] = value
            define["arms"][name] = own
    if isinstance(values.get("tune"), dict):
        values["tune"] = used_settings(TuneConfig, values["tune"])
    return values
