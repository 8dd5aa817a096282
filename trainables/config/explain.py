"""Pydantic's validation errors as one line: the key, what is wrong, the nearest valid one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from trainables.config.base import UNUSED, Settings, unused
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


def explain(error: ValidationError, kind: Any) -> str:
    """One line about the first error of a validation.

    Args:
        error: what pydantic raised.
        kind: the type that was validated, a section of settings or any other annotation.
    """
    # A default that depends on a wrong value is no finding of its own.
    found = [e for e in error.errors() if e["type"] != "default_factory_not_called"]
    # An unknown key is most often the cause of what else is wrong.
    errors = sorted(found, key=lambda e: e["type"] not in ("extra_forbidden", UNUSED))
    keys = [written(e["loc"], kind) for e in errors]
    same = [e for e, key in zip(errors, keys, strict=True) if key == keys[0]]
    more = len(set(keys)) - 1
    return _line(keys[0], same, kind) + (f" (and {more} more)" if more else "")


def _line(key: str, errors: list[Any], kind: Any) -> str:
    first, context = errors[0], errors[0].get("ctx", {})
    if first["type"].startswith("union_tag"):
        discriminator = context["discriminator"].strip("'")
        valid = list(_follow(kind, first["loc"]).tags)
        tag = str(context.get("tag", ""))
        reason = f"{tag} is unknown" if tag else "missing"
        return f"{key}.{discriminator}".removeprefix(".") + f": {reason}{nearest(tag, valid)}"
    reason = _reason(first, errors, kind)
    return f"{key}: {reason}" if key else reason


def _reason(first: Any, errors: list[Any], kind: Any) -> str:
    context = first.get("ctx", {})
    if first["type"] == "extra_forbidden":
        *path, name = [str(part) for part in first["loc"]]
        return _other_method(kind, path, name) or f"unknown key{_meant(kind, path, name)}"
    if first["type"] == UNUSED:
        return first["msg"]
    if first["type"] == "missing":
        return "missing; give it a value"
    if first["type"] in ("too_short", "too_long"):
        bound = "least" if first["type"] == "too_short" else "most"
        limit = context["min_length" if bound == "least" else "max_length"]
        return f"needs at {bound} {limit}, has {context['actual_length']}"
    if first["type"] == "value_error":
        return str(context["error"])
    # A value that fits none of several types has an error for each of them.
    messages = list(dict.fromkeys(e["msg"] for e in errors))
    wanted = " or ".join(message[0].lower() + message[1:] for message in messages)
    value = first["input"]
    # YAML makes these of 1 and yes.
    quoted = isinstance(value, bool | int | float) and {e["type"] for e in errors} == {
        "string_type"
    }
    advice = "; if that is a name, put it in quotation marks" if quoted else ""
    return f"{wanted}, not {shortened(value)}{advice}"


def nearest(name: str, valid: Sequence[str]) -> str:
    """``; did you mean X?`` or the list of valid names."""
    near = get_close_matches(name, valid, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there are {', '.join(valid)}" if valid else ""


def shortened(value: Any) -> str:
    """A value as a message shows it: at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def valid_keys(kind: Any, path: Sequence[str]) -> list[str]:
    """Keys that may stand at ``path`` (as pydantic gives it) of a type."""
    models = filter(_is_model, _follow(kind, path).kinds)
    return sorted({name for model in models for name in model.model_fields})


def written(location: Sequence[int | str], kind: Any) -> str:
    """The dotted key of an error's location.

    Pydantic puts two things into a location that no user wrote: the tag after a tagged union, and
    the type that was tried after any other union.
    """
    return ".".join(_follow(kind, location).written)


def _other_method(kind: Any, path: list[str], name: str) -> str | None:
    """What is said of a setting that another member of the same tagged union has, else None."""
    union = _follow(kind, path[:-1])
    if not path or union.discriminator is None:
        return None
    others = tuple(tag for tag, model in union.tags.items() if name in model.model_fields)
    return unused(union.discriminator, path[-1], others) if others else None


def _meant(kind: Any, path: list[str], name: str) -> str:
    """The nearest key of the same section, or the key of that name in a section below it."""
    valid = valid_keys(kind, path)
    below = [[*path, key, name] for key in valid if name in valid_keys(kind, [*path, key])]
    if below and not get_close_matches(name, valid, n=1):
        return f"; did you mean {' or '.join(written(key, kind) for key in below)}?"
    return nearest(name, valid)


@dataclass(frozen=True)
class _Node:
    """A type, or the alternatives of a union.

    Attributes:
        kinds: the alternatives, without None.
        discriminator: the key that tells the members of a tagged union apart; None if untagged.
        written: the keys that lead here, as a user writes them.
    """

    kinds: tuple[Any, ...]
    discriminator: str | None = None
    written: tuple[str, ...] = ()

    @property
    def tags(self) -> dict[str, type[BaseModel]]:
        """Tag -> member of a tagged union."""
        if self.discriminator is None:
            return {}
        return {
            tag: model
            for model in self.kinds
            for tag in get_args(model.model_fields[self.discriminator].annotation)
        }

    def child(self, part: int | str) -> "_Node":
        """What the next part of a location leads to; without ``kinds`` if there is no such part."""
        if str(part) in self.tags:
            return _Node((self.tags[str(part)],), None, self.written)
        if len(self.kinds) > 1 and self.discriminator is None:
            # The type that was tried, by a name of pydantic's own.
            return _Node(self.kinds[:1], None, self.written)
        path = (*self.written, str(part))
        for kind in self.kinds:
            if _is_model(kind) and part in kind.model_fields:
                field = kind.model_fields[part]
                return _node(field.annotation, path, field.discriminator)
            if get_origin(kind) in (dict, list, tuple):
                arguments = [a for a in get_args(kind) if a is not Ellipsis]
                return _node(arguments[-1], path)
        return _Node((), None, path)


def _follow(kind: Any, location: Sequence[int | str]) -> _Node:
    node = _node(kind, ())
    for part in location:
        node = node.child(part)
    return node


def _node(annotation: Any, path: tuple[str, ...], discriminator: Any = None) -> _Node:
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        given = [m.discriminator for m in metadata if isinstance(m, FieldInfo) and m.discriminator]
        return _node(inner, path, *given)
    if get_origin(annotation) in (Union, UnionType):
        members = [_node(a, path) for a in get_args(annotation) if a is not NoneType]
        if len(members) == 1:
            return members[0]
        kinds = tuple(kind for member in members for kind in member.kinds)
        return _Node(kinds, discriminator, path)
    return _Node((annotation,), None, path)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
