"""Pydantic's findings as one line for a human: the key, what is wrong, the nearest valid one."""

import json
from collections.abc import Sequence
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from trainables.config.arms import STRATEGIES
from trainables.config.base import Settings
from trainables.errors import ConfigError

Section = TypeVar("Section", bound=Settings)


def validated(section: type[Section], values: Any) -> Section:
    """``values`` as a validated section, without any silent conversion of types.

    Raises:
        ConfigError: the first thing that is wrong, in one line; says how many more there are.
    """
    try:
        # Strict about JSON's types: a list may become a tuple, "3" or true may not become 3.
        return section.model_validate_json(json.dumps(values, default=_refuse), strict=True)
    except ValidationError as error:
        raise ConfigError(explain(error, section)) from error
    except ValueError as error:
        # A number of thousands of digits, written in hexadecimal.
        raise ConfigError(f"a value is too long: {error}") from error


def _refuse(value: Any) -> Any:
    kind = type(value).__name__
    raise ConfigError(f"{shortened(value)}: no setting takes {kind}; use text, numbers or lists")


def explain(error: ValidationError, section: type[BaseModel]) -> str:
    """One line about the first finding of ``error``."""
    # An unknown key is most often the cause of what else is wrong.
    findings = sorted(error.errors(), key=lambda finding: finding["type"] != "extra_forbidden")
    keys = [".".join(written(finding["loc"])) for finding in findings]
    same = [f for f, key in zip(findings, keys, strict=True) if key == keys[0]]
    more = len(set(keys)) - 1
    return _line(keys[0], same, section) + (f" (and {more} more)" if more else "")


def _line(key: str, findings: list[Any], section: type[BaseModel]) -> str:
    first = findings[0]
    if first["type"] == "extra_forbidden":
        *path, name = [str(part) for part in first["loc"]]
        return f"{key}: unknown key{_meant(section, path, name)}"
    if first["type"] == "missing":
        return f"{key}: missing; give it a value"
    if first["type"] == "union_tag_not_found":
        return f"{key}.strategy: missing{nearest('', list(STRATEGIES))}"
    if first["type"] == "union_tag_invalid":
        tag = str(first["ctx"]["tag"])
        return f"{key}.strategy: {tag} is unknown{nearest(tag, list(STRATEGIES))}"
    if first["type"] in ("too_short", "too_long"):
        bound = "least" if first["type"] == "too_short" else "most"
        limit = first["ctx"]["min_length" if bound == "least" else "max_length"]
        return f"{key}: needs at {bound} {limit}, has {first['ctx']['actual_length']}"
    if first["type"] == "value_error":
        message = str(first["ctx"]["error"])
        return f"{key}: {message}" if key else message
    # A value that fits none of several types has a finding for each of them.
    messages = list(dict.fromkeys(finding["msg"] for finding in findings))
    wanted = " or ".join(message[0].lower() + message[1:] for message in messages)
    return f"{key}: {wanted}, not {shortened(first['input'])}"


def nearest(name: str, valid: list[str]) -> str:
    """``; did you mean X?`` or the list of valid names."""
    near = get_close_matches(name, valid, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there are {', '.join(valid)}" if valid else ""


def _meant(section: type[BaseModel], path: list[str], name: str) -> str:
    """The nearest key of the same section, or the key of that name in a section below it."""
    valid = valid_keys(section, path)
    below = [[*path, key, name] for key in valid if name in valid_keys(section, [*path, key])]
    if below and not get_close_matches(name, valid, n=1):
        return f"; did you mean {' or '.join('.'.join(written(key)) for key in below)}?"
    return nearest(name, valid)


def valid_keys(section: type[BaseModel], path: list[str]) -> list[str]:
    """Keys that may stand at ``path`` (as pydantic gives it) of a section."""
    kinds: list[Any] = [section]
    for part in path:
        following: list[Any] = []
        for kind in kinds:
            if _is_model(kind):
                if part in kind.model_fields:
                    following += _kinds(kind.model_fields[part].annotation)
                elif part in STRATEGIES and part in get_args(
                    kind.model_fields["strategy"].annotation
                ):
                    following.append(kind)
            elif get_origin(kind) in (dict, list, tuple):
                following += _kinds(get_args(kind)[-1])
        kinds = following
    return sorted({name for kind in kinds if _is_model(kind) for name in kind.model_fields})


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _kinds(annotation: Any) -> list[Any]:
    """The alternatives of a type annotation, unions and ``Annotated`` unpacked."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in _kinds(part)]
    return [annotation]


def written(location: Sequence[int | str]) -> list[str]:
    """A finding's location without what pydantic adds to it and no user wrote.

    That is the strategy after an arm's name, and the type that was tried of several.
    """
    parts = [str(part) for part in location]
    return [
        part
        for i, part in enumerate(parts)
        if not (part in STRATEGIES and i >= 2 and parts[i - 2] == "arms")
        and not part.startswith(("constrained-", "literal["))
    ]


def shortened(value: Any) -> str:
    """A value as a message shows it: at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
