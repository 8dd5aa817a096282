"""Grid search: every combination once, the last key fastest."""

from collections.abc import Mapping, Sequence
from typing import Any

from search_spaces.distributions import Value
from search_spaces.searchers.base import Observation, Searcher
from search_spaces.space import Space
from trainables.errors import ConfigError


def grid_size(space: Space, facts: Mapping[str, Any]) -> int:
    """How many different settings the grid of a group has.

    Raises:
        ConfigError: a continuous range that may be active has no ``steps``.
    """
    return _Tree(space, facts).size


class Grid(Searcher):
    """The settings in order; a parameter that is not active does not multiply them."""

    def suggest(
        self,
        space: Space,
        facts: Mapping[str, Any],
        seed: int,
        index: int,
        history: Sequence[Observation],
    ) -> dict[str, Any] | None:
        """See ``suggest``."""
        return _Tree(space, facts).leaf(index)


class _Tree:
    """The settings as the leaves of a tree with one level per key, counted without listing them."""

    def __init__(self, space: Space, facts: Mapping[str, Any]) -> None:
        self._space = space
        self._facts = facts
        self._levels: dict[str, Sequence[Value]] = {}
        for key in space.keys_for(facts):
            try:
                self._levels[key] = space.parameters[key].levels()
            except ConfigError as error:
                raise ConfigError(f"space {space.name}: {key}: {error}") from error
        self._keys = list(self._levels)
        self._asked = {name for key in space.parameters for name in space.conditions(key)}
        self._counts: dict[tuple[int, str], int] = {}

    @property
    def size(self) -> int:
        return self._count(0, {})

    def leaf(self, index: int) -> dict[str, Any] | None:
        if index >= self.size:
            return None
        chosen: dict[str, Value] = {}
        for depth, key in enumerate(self._keys):
            if not self._space.active(key, self._facts, chosen):
                continue
            for value in self._levels[key]:
                leaves = self._count(depth + 1, chosen | {key: value})
                if index < leaves:
                    chosen[key] = value
                    break
                index -= leaves
        return chosen

    def _count(self, depth: int, chosen: dict[str, Value]) -> int:
        """Leaves below a node; they depend only on what later conditions ask for."""
        if depth == len(self._keys):
            return 1
        conditions = {key: value for key, value in chosen.items() if key in self._asked}
        state = depth, repr(conditions)
        if state not in self._counts:
            key = self._keys[depth]
            if not self._space.active(key, self._facts, chosen):
                self._counts[state] = self._count(depth + 1, chosen)
            elif key in self._asked:
                self._counts[state] = sum(
                    self._count(depth + 1, chosen | {key: value}) for value in self._levels[key]
                )
            else:
                self._counts[state] = len(self._levels[key]) * self._count(depth + 1, chosen)
        return self._counts[state]
