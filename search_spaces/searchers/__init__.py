"""Proposing settings: which ones a search tries next.

Nothing here has state: a proposal follows from the space, the seed, its index and, for TPE, the
history, so an interrupted search goes on as if nothing had happened.
"""

from search_spaces.searchers.base import Observation, Searcher
from search_spaces.searchers.grid import Grid, grid_size
from search_spaces.searchers.importance import importances
from search_spaces.searchers.random import Random
from search_spaces.searchers.sobol import Sobol
from search_spaces.searchers.suggest import SEARCHERS, suggest
from search_spaces.searchers.tpe import TPE

__all__ = [
    "SEARCHERS",
    "TPE",
    "Grid",
    "Observation",
    "Random",
    "Searcher",
    "Sobol",
    "grid_size",
    "importances",
    "suggest",
]
