"""TPE: draws where good settings are dense and bad ones rare, through Optuna.

Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization", in the multivariate form of
Falkner et al. 2018 (BOHB), with conditional parameters in groups that occur together.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from search_spaces.searchers.base import Observation, Searcher
from search_spaces.searchers.optuna_study import as_optuna, quiet_optuna, suggest, usable
from search_spaces.searchers.random import Random
from search_spaces.space import Space
from trainables.seeding import derive_seed

STARTUP = 10
"""Trials that have ended before the first proposal that is not random (Optuna's default)."""


class TPE(Searcher):
    """Builds the study anew from the history each time; the sampler's seed holds the index."""

    def suggest(
        self,
        space: Space,
        facts: Mapping[str, Any],
        seed: int,
        index: int,
        history: Sequence[Observation],
    ) -> dict[str, Any]:
        """See ``suggest``.

        The first ones are those of random search, so groups start from the same values.
        """
        trials = usable(space, facts, history)
        scored = any(trial.finite_score is not None or trial.finite_rungs for trial in trials)
        if len(trials) < STARTUP or not scored or not space.keys_for(facts):
            return Random().suggest(space, facts, seed, index, history)
        with quiet_optuna():
            import optuna

            sampler = optuna.samplers.TPESampler(
                seed=derive_seed(seed, "optuna", index) % 2**32,
                n_startup_trials=0,
                multivariate=True,
                group=True,
            )
            study = optuna.create_study(direction="maximize", sampler=sampler)
            study.add_trials([as_optuna(space, trial) for trial in trials])
            new = study.ask()
            return space.resolve(facts, lambda key, parameter: suggest(new, key, parameter))
