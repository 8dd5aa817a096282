"""Random search: every parameter is drawn by itself.

Bergstra and Bengio 2012, "Random Search for Hyper-Parameter Optimization".
"""

from collections.abc import Mapping, Sequence
from typing import Any

from search_spaces.searchers.base import Observation, Searcher
from search_spaces.space import Space
from trainables.seeding import generator


class Random(Searcher):
    """A draw depends on seed, index and key alone: common random numbers for all groups."""

    def suggest(
        self,
        space: Space,
        facts: Mapping[str, Any],
        seed: int,
        index: int,
        history: Sequence[Observation],
    ) -> dict[str, Any]:
        """See ``suggest``."""
        return space.resolve(
            facts,
            lambda key, parameter: parameter.at(generator(seed, "random", key, index).random()),
        )
