"""A space's parts, from YAML to parameters, and what can be wrong with them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from search_spaces.distributions import DISTRIBUTIONS, Choice, IntUniform, Parameter, Value
from search_spaces.setting_keys import (
    GROUP_FACTS,
    Setting,
    find_setting,
    nearest_key,
    searchable,
    settings,
    why_not,
)
from trainables.config.arms import STRATEGIES
from trainables.config.explain import nearest, shortened
from trainables.errors import ConfigError


@contextmanager
def named(key: str) -> Iterator[None]:
    """Puts a key before the message of a ConfigError that is raised within."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from error


def parse_parameter(values: Any) -> Parameter:
    """A parameter from its YAML form, for example ``{uniform: [0, 1], when: {strategy: ...}}``.

    Raises:
        ConfigError: it is none; names what is wrong.
    """
    names = ", ".join(DISTRIBUTIONS)
    if not isinstance(values, dict):
        raise ConfigError(f"{shortened(values)} is no distribution; write one of {names}")
    options = {key: value for key, value in values.items() if key in ("when", "steps")}
    kinds = [str(key) for key in values if key not in options]
    for kind in kinds:
        if kind not in DISTRIBUTIONS:
            near = nearest(kind, [*DISTRIBUTIONS, "when", "steps"])
            raise ConfigError(f"{kind}: unknown distribution{near}")
    if len(kinds) != 1:
        raise ConfigError(f"needs exactly one distribution of {names}, has {len(kinds)}")
    kind, written = DISTRIBUTIONS[kinds[0]], values[kinds[0]]
    if not isinstance(written, list | tuple):
        raise ConfigError(f"{kind.kind}: {shortened(written)} is no list of values")
    if kind is Choice:
        return Choice.model_validate({"values": tuple(written)} | options)
    if len(written) != 2:
        raise ConfigError(f"{kind.kind}: a range is [low, high], not {shortened(list(written))}")
    return kind.model_validate({"low": written[0], "high": written[1]} | options)


def check_key(key: str) -> None:
    """Raises ConfigError: there is no such setting, or it must not be searched."""
    reason = why_not(key)
    if reason is not None:
        raise ConfigError(f"is not searched: it {reason}")
    if find_setting(key) is None:
        raise ConfigError(f"unknown key{nearest_key(key, searchable())}")


def check_values(key: str, parameter: Parameter) -> None:
    """Raises ConfigError: the setting refuses a value that can be drawn."""
    setting = find_setting(key)
    assert setting is not None
    _check_accepted(setting, parameter.examples())


def _check_accepted(setting: Setting, values: Iterable[Value]) -> None:
    for value in values:
        reason = setting.refusal(value)
        if reason is not None:
            raise ConfigError(f"the setting cannot be {shortened(value)}: {reason}")


def check_condition(
    key: str, values: tuple[Value, ...], parameters: Mapping[str, Parameter]
) -> None:
    """Check one entry of a parameter's ``when``.

    Args:
        key: another parameter of the space, a group fact or a setting.
        values: those of ``key`` with which the parameter is drawn.
        parameters: those of the space that ``key`` may name.

    Raises:
        ConfigError: the key is unknown or continuous, or any of the values is impossible for it.
            The values of ``arm``, ``model`` and ``task`` are not checked here.
    """
    if key in parameters:
        parameter = parameters[key]
        if not isinstance(parameter, Choice | IntUniform):
            raise ConfigError("only a choice or an int_uniform can be asked for a value")
        for value in values:
            if not parameter.contains(value):
                raise ConfigError(f"{shortened(value)} is never drawn for it")
        return
    if key == "strategy":
        for value in values:
            if value not in STRATEGIES:
                raise ConfigError(f"{value} is unknown{nearest(str(value), list(STRATEGIES))}")
    elif key not in GROUP_FACTS:
        setting = find_setting(key)
        if setting is None:
            raise ConfigError(f"unknown key{nearest_key(key, [*GROUP_FACTS, *settings()])}")
        _check_accepted(setting, values)
