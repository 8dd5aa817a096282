"""Base class of every configuration section."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError


def as_tuple(value: Any) -> Any:
    """A list as the tuple it becomes; a single name or number where a list is meant."""
    if isinstance(value, list):
        return tuple(value)
    return (value,) if isinstance(value, str | int) and not isinstance(value, bool) else value


UNUSED = "unused_setting"
"""Type of the validation error for a setting that the chosen method does not have."""


class Settings(BaseModel):
    """A frozen section of the configuration that refuses unknown keys and silent conversions.

    Attributes:
        only_with: empty but in ``DependentSettings``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    only_with: ClassVar[dict[str, tuple[str, tuple[str, ...]]]] = {}


class DependentSettings(Settings):
    """A section in which some keys have an effect only with some values of others.

    Attributes:
        only_with: key -> another key of the section, and its values with which the first one has
            an effect. With any other value the first key must keep its default.
    """

    @model_validator(mode="after")
    def _refuse_unused_settings(self) -> Self:
        errors: list[InitErrorDetails] = []
        for key, (choice, values) in self.only_with.items():
            value, chosen = getattr(self, key), getattr(self, choice)
            if chosen not in values and value != type(self).model_fields[key].default:
                error = PydanticCustomError(
                    UNUSED, "{text}", {"text": unused(choice, chosen, values)}
                )
                errors.append(InitErrorDetails(type=error, loc=(key,), input=value))
        if errors:
            raise ValidationError.from_exception_data(type(self).__name__, errors)
        return self


def used_settings(section: type[Settings], values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values of a section without those that have no effect beside the others."""
    fields = section.model_fields
    return {
        key: value
        for key, value in values.items()
        if key not in section.only_with
        or values.get(choice := section.only_with[key][0], fields[choice].default)
        in section.only_with[key][1]
    }


def unused(choice: str, chosen: Any, values: tuple[str, ...]) -> str:
    """What is said of a setting without effect.

    >>> unused("name", "equal", ("uncertainty", "gradnorm", "famo"))
    'is not used with name=equal, only with name=uncertainty, gradnorm or famo'
    """
    *others, last = values
    listed = f"{', '.join(others)} or {last}" if others else last
    return f"is not used with {choice}={chosen}, only with {choice}={listed}"
