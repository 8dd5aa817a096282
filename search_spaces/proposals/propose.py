"""One door to every search method."""

from collections.abc import Mapping, Sequence
from typing import Any

from search_spaces.findings import meant
from search_spaces.proposals.base import Observed, Proposer
from search_spaces.proposals.grid import Grid
from search_spaces.proposals.random import Random
from search_spaces.proposals.sobol import Sobol
from search_spaces.proposals.tpe import TPE
from search_spaces.space import Space
from trainables.errors import ConfigError

METHODS: dict[str, Proposer] = {
    "random": Random(),
    "sobol": Sobol(),
    "grid": Grid(),
    "optuna": TPE(),
}
"""The search methods: one is added here."""


def propose(
    space: Space,
    facts: Mapping[str, Any],
    method: str,
    seed: int,
    index: int,
    history: Sequence[Observed] = (),
) -> dict[str, Any] | None:
    """The setting of a search's trial number ``index``.

    The same arguments always give the same setting. With ``random`` and ``sobol``, what is drawn
    for a key does not depend on ``facts``, so different groups try the same values.

    Args:
        space: what is searched.
        facts: of the group (see ``search_spaces/group.py``).
        method: one of ``METHODS``.
        seed: of the search.
        index: of the trial within its group, counted from 0.
        history: of the group; only ``optuna`` looks at it. Trials that this space cannot have
            drawn for this group (a search that was started from another's results) are left out.

    Returns:
        Dotted key -> value of the active parameters; none: the grid has no such trial.

    Raises:
        ConfigError: no such method, or a grid over a continuous range without ``steps``.
    """
    if method not in METHODS:
        raise ConfigError(f"{method}: unknown search method{meant(method, list(METHODS))}")
    return METHODS[method].propose(space, facts, seed, index, history)
