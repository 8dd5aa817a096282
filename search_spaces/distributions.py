"""What a parameter of a space can be: one class per distribution.

Each knows its values as a function of a uniform number (random and Sobol search) and as a list
(grid search); a distribution is added here and in ``DISTRIBUTIONS``.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_serializer,
    model_validator,
)

from trainables.config.base import Settings
from trainables.config.explain import explain, shortened
from trainables.errors import ConfigError

Value = str | int | float | bool | None
"""What a setting can be drawn as; exactly YAML's scalars."""


def same(first: Any, second: Any) -> bool:
    """Whether two values are the same; unlike Python's ``==``, ``True`` is not 1."""
    return isinstance(first, bool) == isinstance(second, bool) and first == second


def _scalar(value: Any) -> Any:
    number = isinstance(value, float) and not math.isfinite(value)
    if number or not isinstance(value, Value):
        raise ValueError(f"{shortened(value)} is no text, finite number, true, false or null")
    return value


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Scalar = Annotated[Value, BeforeValidator(_scalar)]
Scalars = Annotated[tuple[Scalar, ...], BeforeValidator(_listed), Field(min_length=1)]


class Parameter(Settings, ABC):
    """What one setting is drawn from.

    Attributes:
        when: key -> the values of it with which this parameter is drawn; all keys must hold.

    Raises:
        ConfigError: a range or list that cannot be drawn from.
    """

    model_config = ConfigDict(strict=True)
    kind: ClassVar[str]

    when: dict[str, Scalars] = Field(
        default_factory=dict, description="key -> values of it with which the parameter is drawn"
    )

    @model_validator(mode="wrap")
    @classmethod
    def _one_line(cls, values: Any, handler: Any) -> Self:
        try:
            made = handler(values)
            made.check()
        except (ValidationError, ValueError) as error:
            reason = explain(error, cls) if isinstance(error, ValidationError) else error
            raise ConfigError(f"{cls.kind}: {reason}") from error
        return made

    @abstractmethod
    def check(self) -> None:
        """Look at values of the right types.

        Raises:
            ValueError: nothing can be drawn from them.
        """

    @abstractmethod
    def at(self, u: float) -> Value:
        """The value at ``u`` in [0, 1) of the distribution."""

    @abstractmethod
    def contains(self, value: Any) -> bool:
        """Whether ``value`` can be drawn."""

    @abstractmethod
    def perturbed(self, value: Any, factor: float) -> Value:
        """``value``, which can be drawn, times ``factor``, which is not 1, inside of the range.

        Of a list, the value after it where ``factor`` is above 1, else the one before it.
        """

    @abstractmethod
    def levels(self) -> Sequence[Value]:
        """The values of a grid, in order.

        Raises:
            ConfigError: a continuous range without ``steps``.
        """

    @abstractmethod
    def examples(self) -> Sequence[Value]:
        """Values that a setting must take for it to take them all."""

    @abstractmethod
    def written(self) -> Any:
        """What stands after the distribution's name in YAML."""

    @model_serializer
    def _as_yaml(self) -> dict[str, Any]:
        more = {"when": {key: list(values) for key, values in self.when.items()}}
        steps = getattr(self, "steps", None)
        return (
            {self.kind: self.written()}
            | ({"steps": steps} if steps else {})
            | (more if self.when else {})
        )


class _Range(Parameter):
    low: float
    high: float

    def check(self) -> None:
        """See ``Parameter.check``."""
        if self.low > self.high:
            raise ValueError(f"[{self.low:g}, {self.high:g}] is inverted; the smaller one is first")
        if self.low == self.high:
            raise ValueError(
                f"[{self.low:g}, {self.high:g}] is empty; write choice: [{self.low:g}]"
            )

    def contains(self, value: Any) -> bool:
        """See ``Parameter.contains``."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self.low <= value <= self.high

    def written(self) -> list[float]:
        """See ``Parameter.written``."""
        return [self.low, self.high]

    def examples(self) -> Sequence[Value]:
        """See ``Parameter.examples``."""
        return (self.low, self.high)


class Uniform(_Range):
    """Numbers between ``low`` and ``high``, all alike."""

    kind: ClassVar[str] = "uniform"

    steps: int | None = Field(
        default=None, ge=2, description="how many values a grid tries; None: not for grids"
    )

    def at(self, u: float) -> float:
        """See ``Parameter.at``."""
        # Rounding may lead out of the range by the last digit.
        return min(max(self._scale(u), self.low), self.high)

    def perturbed(self, value: Any, factor: float) -> float:
        """See ``Parameter.perturbed``."""
        return min(max(value * factor, self.low), self.high)

    def levels(self) -> list[float]:
        """See ``Parameter.levels``."""
        if self.steps is None:
            raise ConfigError(
                f"{self.kind}: a grid needs to know how many values to try; add steps: 3"
            )
        between = [self.at(i / (self.steps - 1)) for i in range(1, self.steps - 1)]
        return [self.low, *between, self.high]

    def _scale(self, u: float) -> float:
        return self.low + u * (self.high - self.low)


class LogUniform(Uniform):
    """Numbers between ``low`` and ``high`` whose logarithms are all alike."""

    kind: ClassVar[str] = "log_uniform"

    def check(self) -> None:
        """See ``Parameter.check``."""
        super().check()
        if self.low <= 0:
            raise ValueError(f"low is {self.low:g}, and only numbers above 0 have a logarithm")

    def _scale(self, u: float) -> float:
        low, high = math.log(self.low), math.log(self.high)
        return math.exp(low + u * (high - low))


class IntUniform(_Range):
    """Whole numbers from ``low`` to ``high``, both among them, all alike."""

    kind: ClassVar[str] = "int_uniform"

    low: int  # pyright: ignore[reportIncompatibleVariableOverride]
    high: int  # pyright: ignore[reportIncompatibleVariableOverride]

    def at(self, u: float) -> int:
        """See ``Parameter.at``."""
        return self.low + min(int(u * len(self.levels())), self.high - self.low)

    def contains(self, value: Any) -> bool:
        """See ``Parameter.contains``."""
        return super().contains(value) and value == int(value)

    def perturbed(self, value: Any, factor: float) -> int:
        """See ``Parameter.perturbed``; it moves by at least 1."""
        step = 1 if factor > 1 else -1
        moved = step * max(step * round(value * factor), step * value + 1)
        return min(max(moved, self.low), self.high)

    def levels(self) -> range:
        """See ``Parameter.levels``."""
        return range(self.low, self.high + 1)


class Choice(Parameter):
    """One of ``values``, all alike; a list of one fixes the setting."""

    kind: ClassVar[str] = "choice"

    values: Annotated[tuple[Scalar, ...], Field(min_length=1)]

    def check(self) -> None:
        """See ``Parameter.check``."""
        for i, value in enumerate(self.values):
            if any(same(value, other) for other in self.values[:i]):
                raise ValueError(f"{shortened(value)} is listed twice")

    def at(self, u: float) -> Value:
        """See ``Parameter.at``."""
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    def contains(self, value: Any) -> bool:
        """See ``Parameter.contains``."""
        return any(same(value, other) for other in self.values)

    def perturbed(self, value: Any, factor: float) -> Value:
        """See ``Parameter.perturbed``."""
        index = next(i for i, other in enumerate(self.values) if same(other, value))
        moved = index + (1 if factor > 1 else -1)
        return self.values[min(max(moved, 0), len(self.values) - 1)]

    def levels(self) -> Sequence[Value]:
        """See ``Parameter.levels``."""
        return self.values

    def examples(self) -> Sequence[Value]:
        """See ``Parameter.examples``."""
        return self.values

    def written(self) -> list[Value]:
        """See ``Parameter.written``."""
        return list(self.values)


DISTRIBUTIONS = {kind.kind: kind for kind in (Uniform, LogUniform, IntUniform, Choice)}
