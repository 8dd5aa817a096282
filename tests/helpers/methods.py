"""Settings of methods, for tests."""

from typing import Any

from pydantic import TypeAdapter

from trainables.config.methods import METHODS


def method(section: str, **values: Any) -> Any:
    """Validated settings of a section of ``METHODS``: ``method("sampling", name="power")``."""
    return TypeAdapter(METHODS[section]).validate_python(values)
