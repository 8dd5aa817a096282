"""Sobol search: points that fill the space more evenly than random ones.

Sobol' 1967, with Owen's scrambling (1998) as ``scipy.stats.qmc.Sobol`` has it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from search_spaces.searchers.base import Observation, Searcher
from search_spaces.space import Space
from trainables.seeding import generator


class Sobol(Searcher):
    """One dimension per parameter of the space, active or not, so all groups see the same points.

    A draw depends on seed, index and key, and on the set of keys in the space.
    """

    def suggest(
        self,
        space: Space,
        facts: Mapping[str, Any],
        seed: int,
        index: int,
        history: Sequence[Observation],
    ) -> dict[str, Any]:
        """See ``suggest``."""
        # Takes a second to import, and a plan without a search has no use for it.
        from scipy.stats import qmc

        keys = sorted(space.keys)
        points = qmc.Sobol(len(keys), scramble=True, rng=generator(seed, "sobol"))
        if index:
            points.fast_forward(index)
        point = dict(zip(keys, points.random(1)[0].tolist(), strict=True))
        return space.resolve(facts, lambda key, parameter: parameter.at(point[key]))
