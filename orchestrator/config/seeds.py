"""The seeds of a grid: a list, or rounds of more and more seeds until the verdict is decided."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from trainables.config.base import Settings, as_tuple

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Seeds = Annotated[tuple[Seed, ...], BeforeValidator(as_tuple), Field(min_length=1)]


class SeedsUntil(Settings):
    """Seeds in rounds, each after a look at the verdict, until every comparison is decided."""

    until: Literal["decided"] = Field(
        description="train more seeds until the verdict is better, worse or equivalent in every "
        "comparison of the macro average (of one task: of the task)"
    )
    looks: Annotated[
        tuple[Annotated[int, Field(ge=2, le=1000)], ...],
        BeforeValidator(as_tuple),
        Field(min_length=1),
    ] = Field(description="numbers of seeds at which there is a verdict; the last one is the most")
    first: Seed = Field(default=41, description="the first seed, which others follow one by one")

    @field_validator("looks")
    @classmethod
    def _ascending(cls, looks: tuple[int, ...]) -> tuple[int, ...]:
        if list(looks) != sorted(set(looks)):
            raise ValueError(f"{list(looks)}: each must be more than the one before")
        return looks

    @model_validator(mode="after")
    def _seeds_exist(self) -> Self:
        if self.first + self.looks[-1] > 2**32:
            raise ValueError(f"first={self.first}: there are fewer than {self.looks[-1]} after it")
        return self


def _kind(value: Any) -> str:
    return "until" if isinstance(value, dict | SeedsUntil) else "list"


SeedRule = Annotated[
    Annotated[SeedsUntil, Tag("until")] | Annotated[Seeds, Tag("list")], Discriminator(_kind)
]


def rounds_of(rule: tuple[int, ...] | SeedsUntil) -> tuple[tuple[int, ...], ...]:
    """The seeds at each look, each round beginning with those of the one before.

    >>> rounds_of(SeedsUntil(until="decided", looks=(2, 3)))
    ((41, 42), (41, 42, 43))
    """
    if isinstance(rule, SeedsUntil):
        return tuple(tuple(range(rule.first, rule.first + look)) for look in rule.looks)
    return (rule,)
