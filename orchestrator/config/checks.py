"""What to do about data that may not be what its owner believes it to be."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from trainables.config.base import Settings


def _off(value: Any) -> Any:
    """YAML reads ``off`` as false."""
    return "off" if value is False else value


Action = Annotated[Literal["error", "warn", "off"], BeforeValidator(_off)]
DropOr = Annotated[Literal["error", "warn", "off", "drop"], BeforeValidator(_off)]
_DROP = "; drop: leave them out of train, in every arm"


class ChecksConfig(Settings):
    """Whether a finding about the data is an error, a warning or nothing."""

    duplicates: Action = Field(
        default="warn", description="a text that stands more than once in train"
    )
    contradictions: Action = Field(
        default="warn", description="a text that stands in train with different labels"
    )
    shared_texts: DropOr = Field(
        default="warn",
        description=f"examples of validation or test whose text stands in train{_DROP}",
    )
    shared_across_tasks: DropOr = Field(
        default="warn",
        description="examples of validation or test whose text stands in another task's train, "
        f"which multi-task arms read{_DROP}",
    )
    truncation: Action = Field(
        default="warn", description="texts that are longer than max_length; off: not counted either"
    )
    rare_classes: Action = Field(
        default="warn", description="a class with no or one example in train"
    )
    missing_classes: Action = Field(
        default="warn",
        description="a class without an example in validation or test, or one class alone there",
    )
    similar_names: Action = Field(
        default="warn",
        description="classes whose names differ in case, spaces or punctuation alone",
    )
    small_validation: Action = Field(
        default="warn",
        description="a validation split of which one example moves the macro average of "
        "accuracies by half a point or more",
    )
