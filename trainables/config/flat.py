"""The flat form of an arm, in which every section of methods has every method's settings.

Files that were written before methods had settings of their own hold it, and a trial's key is a
hash of it, so that keys stay as they are.
"""

from collections.abc import Mapping
from typing import Any

from trainables.config.methods import own_settings

DEFAULTS: dict[str, dict[str, Any]] = {
    "sampling": {"exponent": 0.5},
    "weighting": {
        "weights": {},
        "power": 1.0,
        "temperature": 2.0,
        "alpha": 1.5,
        "learning_rate": 0.025,
    },
    "aggregation": {"c": 0.5},
    "freezing": {"until": 0.5},
}
"""Section -> the settings that methods without them held in the flat form.

A setting that a method gets from now on does not belong here: keys of other methods' trials would
change.
"""


def flattened(arm: Mapping[str, Any], ignored: Mapping[str, Any]) -> dict[str, Any]:
    """The flat form of an arm.

    Args:
        arm: plain values, as ``model_dump`` gives them.
        ignored: see ``unflattened``.
    """
    flat = dict(arm)
    for section, defaults in DEFAULTS.items():
        if section in arm:
            flat[section] = defaults | arm[section]
    for key, value in ignored.items():
        section, _, name = key.rpartition(".")
        (flat[section] if section else flat)[name] = value
    return flat


def unflattened(arm: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """An arm without the settings that its methods do not use, from either form.

    Returns:
        The arm, and those of the unused settings that are not the default: dotted key -> value.
    """
    plain = dict(arm)
    ignored: dict[str, Any] = {}
    for section, defaults in DEFAULTS.items():
        settings = arm.get(section)
        if not isinstance(settings, Mapping) or "name" not in settings:
            continue
        plain[section] = own_settings(section, settings)
        for key, value in settings.items():
            if key not in plain[section] and value != defaults.get(key):
                ignored[f"{section}.{key}"] = value
    if plain.get("mask_other_tasks") is False and plain.get("label_space") == "shared":
        ignored["mask_other_tasks"] = plain.pop("mask_other_tasks")
    return plain, ignored
