"""Proposing settings: which ones a search tries next.

Nothing here has state: a proposal follows from the space, the seed, its index and, for TPE, the
history, so an interrupted search goes on as if nothing had happened.
"""

from search_spaces.proposals.base import Observed, Proposer
from search_spaces.proposals.grid import Grid, grid_size
from search_spaces.proposals.importance import importances
from search_spaces.proposals.propose import METHODS, propose
from search_spaces.proposals.random import Random
from search_spaces.proposals.sobol import Sobol
from search_spaces.proposals.tpe import TPE

__all__ = [
    "METHODS",
    "TPE",
    "Grid",
    "Observed",
    "Proposer",
    "Random",
    "Sobol",
    "grid_size",
    "importances",
    "propose",
]
