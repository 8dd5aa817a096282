"""Settings that change while a trial trains, and the parts of its training."""

from typing import Self

from pydantic import Field, PositiveInt, model_validator

from trainables.config.base import Settings

CHANGEABLE = ("learning_rate", "weight_decay", "label_smoothing", "layer_decay")
"""Keys of ``training`` that can change on the way; what else a trial is stands from its start."""


class SettingChange(Settings):
    """Settings that hold from some step on.

    Raises:
        ValueError: a setting that stands from a trial's start.
    """

    at: float = Field(gt=0, lt=1, description="share of the steps that are taken before")
    training: dict[str, float] = Field(min_length=1, description="key of training -> new value")

    @model_validator(mode="after")
    def _can_change(self) -> Self:
        for key in self.training:
            if key not in CHANGEABLE:
                raise ValueError(
                    f"training.{key}: cannot change while a trial trains; those that can are "
                    f"{', '.join(CHANGEABLE)}"
                )
        return self


class Segment(Settings):
    """One of the equal parts of training, at whose end a trial is measured and may be gone on with.

    Attributes:
        number: counted from 1.
        of: how many parts.
    """

    number: PositiveInt = Field(description="number of the part, from 1")
    of: int = Field(ge=2, description="how many parts there are")

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        if self.number > self.of:
            raise ValueError(f"number: there are {self.of} parts")
        return self

    @property
    def until(self) -> float:
        """Share of the steps after which it ends."""
        return self.number / self.of

    @property
    def has_next(self) -> bool:
        """Whether another one follows."""
        return self.number < self.of
