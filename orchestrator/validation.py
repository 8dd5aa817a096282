"""Pydantic's findings as one line for a human: the key, what is wrong, the nearest valid one."""

from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from trainables.config import STRATEGIES
from trainables.errors import ConfigError
from trainables.settings import Settings

Section = TypeVar("Section", bound=Settings)


def validated(section: type[Section], values: dict[str, Any]) -> Section:
    """``values`` as a validated section.

    Raises:
        ConfigError: the first thing that is wrong, in one line; says how many more there are.
    """
    try:
        return section.model_validate(values)
    except ValidationError as error:
        raise ConfigError(explain(error, section)) from error


def explain(error: ValidationError, section: type[BaseModel]) -> str:
    """One line about the first finding of ``error``."""
    findings = error.errors()
    # An unknown key is most often the cause of what else is wrong.
    findings.sort(key=lambda finding: finding["type"] != "extra_forbidden")
    first = findings[0]
    path = _written([str(part) for part in first["loc"]])
    key = ".".join(path) or "configuration"
    if first["type"] == "extra_forbidden":
        line = f"{key}: unknown key{nearest(path[-1], valid_keys(section, path[:-1]))}"
    elif first["type"] == "missing":
        line = f"{key}: missing; give it a value"
    elif first["type"].startswith("union_tag"):
        line = f"{key}: {first['msg']}"
    else:
        message = first["msg"].removeprefix("Value error, ")
        given = "" if first["type"] == "value_error" else f", not {_short(first['input'])}"
        line = f"{key}: {message[0].lower() + message[1:]}{given}"
    more = len(findings) - 1
    return line + (f" (and {more} more)" if more else "")


def nearest(name: str, valid: list[str]) -> str:
    """``; did you mean X?`` or the list of valid names."""
    near = get_close_matches(name, valid, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there are {', '.join(valid)}" if valid else ""


def valid_keys(section: type[BaseModel], path: list[str]) -> list[str]:
    """Keys that may stand at ``path`` of a section."""
    kinds: list[Any] = [section]
    for part in path:
        following: list[Any] = []
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                if part in kind.model_fields:
                    following += _kinds(kind.model_fields[part].annotation)
            elif get_origin(kind) in (dict, list, tuple):
                following += _kinds(get_args(kind)[-1])
        kinds = following
    return sorted(
        {
            name
            for kind in kinds
            if isinstance(kind, type) and issubclass(kind, BaseModel)
            for name in kind.model_fields
        }
    )


def _kinds(annotation: Any) -> list[Any]:
    """The alternatives of a type annotation, unions and ``Annotated`` unpacked."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in _kinds(part)]
    return [annotation]


def _written(location: list[str]) -> list[str]:
    """A finding's location without the strategy that pydantic adds after an arm's name."""
    return [
        part
        for i, part in enumerate(location)
        if not (part in STRATEGIES and i >= 2 and location[i - 2] == "arms")
    ]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
