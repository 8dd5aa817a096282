"""One door to every search method."""

from collections.abc import Mapping, Sequence
from typing import Any

from search_spaces.searchers.base import Observation, Searcher
from search_spaces.searchers.grid import Grid
from search_spaces.searchers.random import Random
from search_spaces.searchers.sobol import Sobol
from search_spaces.searchers.tpe import TPE
from search_spaces.space import Space
from trainables.config.explain import nearest
from trainables.errors import ConfigError

SEARCHERS: dict[str, Searcher] = {
    "random": Random(),
    "sobol": Sobol(),
    "grid": Grid(),
    "optuna": TPE(),
}
"""The search methods: one is added here."""


def suggest(
    space: Space,
    facts: Mapping[str, Any],
    method: str,
    seed: int,
    index: int,
    history: Sequence[Observation] = (),
) -> dict[str, Any] | None:
    """The setting of a search's trial number ``index``.

    The same arguments always give the same setting. With ``random`` and ``sobol``, what is drawn
    for a key does not depend on ``facts``, so different groups try the same values.

    Args:
        space: what is searched.
        facts: of the group (see ``search_spaces/group_settings.py``).
        method: one of ``SEARCHERS``.
        seed: of the search.
        index: of the trial within its group, counted from 0.
        history: of the group; only ``optuna`` looks at it. Trials that this space cannot have
            drawn for this group (a search that was started from another's results) are left out.

    Returns:
        Dotted key -> value of the active parameters, None if the grid has no such trial.

    Raises:
        ConfigError: no such method, or a grid over a continuous range without ``steps``.
    """
    if method not in SEARCHERS:
        raise ConfigError(f"{method}: unknown search method{nearest(method, list(SEARCHERS))}")
    return SEARCHERS[method].suggest(space, facts, seed, index, history)
