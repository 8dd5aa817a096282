"""The interface of a search method, and the trials that it learns from."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from search_spaces.space import Space
from trainables.results.status import TrialStatus


@dataclass(frozen=True)
class Observation:
    """A trial that has ended.

    Attributes:
        settings: dotted key -> value, as suggested.
        status: how it ended: finished, stopped by the scheduler, diverged or failed.
        score: of a finished trial; higher is better. None or NaN if it has no score.
        rungs: of a stopped trial: (number of the rung, score) of each report, in any order. Trials
            at the same rung came equally far, whatever their batch size.
    """

    settings: Mapping[str, Any]
    status: TrialStatus
    score: float | None = None
    rungs: Sequence[tuple[int, float]] = field(default=())

    @property
    def finite_score(self) -> float | None:
        """The score of a finished trial. None if it has no score or is not finished."""
        if self.status != TrialStatus.FINISHED or self.score is None:
            return None
        return self.score if math.isfinite(self.score) else None

    @property
    def finite_rungs(self) -> dict[int, float]:
        """Number of the rung -> score of a stopped trial; NaN and infinite scores left out."""
        if self.status != TrialStatus.STOPPED:
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
