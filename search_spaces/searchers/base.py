"""What a search method is, and what it is told of the trials before."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from search_spaces.space import Space

Status = Literal["finished", "stopped", "diverged", "failed"]


@dataclass(frozen=True)
class Observation:
    """A trial that has ended.

    Attributes:
        settings: dotted key -> value, as it was proposed.
        status: how it ended: trained to the end, stopped by the scheduler, NaN or infinite, or
            for another reason.
        score: of a finished trial; higher is better. None or NaN: it has none.
        rungs: of a stopped one, (number of the rung, score) each time it was measured, in any
            order. Trials at the same rung came equally far, whatever their batch size.
    """

    settings: Mapping[str, Any]
    status: Status
    score: float | None = None
    rungs: Sequence[tuple[int, float]] = field(default=())

    @property
    def finite_score(self) -> float | None:
        """The score of a finished trial that has one."""
        finished = self.status == "finished" and self.score is not None
        return self.score if finished and math.isfinite(self.score or 0.0) else None

    @property
    def finite_rungs(self) -> dict[int, float]:
        """Number of the rung -> score of a stopped trial, NaN and infinite ones left out."""
        if self.status != "stopped":
            return {}
        return {rung: score for rung, score in self.rungs if math.isfinite(score)}


class Searcher(ABC):
    """A search method."""

    @abstractmethod
    def suggest(
        self,
        space: Space,
        facts: Mapping[str, Any],
        seed: int,
        index: int,
        history: Sequence[Observation],
    ) -> dict[str, Any] | None:
        """See ``suggest``."""
