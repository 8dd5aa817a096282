"""What is wrong with a space, as one line for a human."""

from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError


def first_finding(error: ValidationError) -> str:
    """The first thing that pydantic found, an unknown key before all others."""
    findings = sorted(error.errors(), key=lambda finding: finding["type"] != "extra_forbidden")
    first = findings[0]
    # A value that fits none of several types has a finding for each of them.
    place = _place(first["loc"])
    alike = [finding for finding in findings if _place(finding["loc"]) == place]
    return f"{place}: {_reason(first, alike)}" if place else _reason(first, alike)


def _place(location: tuple[int | str, ...]) -> str:
    """A finding's key, without the type that was tried of several."""
    *path, last = map(str, location or ("",))
    tried = last in ("str", "int", "float", "bool") or last.startswith(("constrained-", "literal["))
    return ".".join(path if tried else (*path, last))


def _reason(first: Any, alike: list[Any]) -> str:
    if first["type"] == "extra_forbidden":
        return "unknown key"
    if first["type"] == "missing":
        return "missing; give it a value"
    if first["type"] == "too_short":
        return f"needs at least {first['ctx']['min_length']}, has {first['ctx']['actual_length']}"
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    messages = dict.fromkeys(finding["msg"] for finding in alike)
    wanted = " or ".join(message[0].lower() + message[1:] for message in messages)
    return f"{wanted}, not {shortened(first['input'])}"


def meant(name: str, valid: list[str]) -> str:
    """``; did you mean X?`` or, where nothing is near, the valid names."""
    near = get_close_matches(name, valid, n=1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(valid)}"


def shortened(value: Any) -> str:
    """A value as a message shows it: at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
