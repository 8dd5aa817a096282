"""How much each parameter decides of the score, through Optuna."""

from collections.abc import Mapping, Sequence
from typing import Any

from search_spaces.searchers.base import Observation
from search_spaces.searchers.optuna_study import as_optuna, quiet_optuna, usable
from search_spaces.space import Space

FEWEST = 4
"""Finished trials below which nothing can be said."""


def importances(
    space: Space, facts: Mapping[str, Any], history: Sequence[Observation]
) -> dict[str, float]:
    """PED-ANOVA of the finished trials of a group; the same history gives the same numbers.

    Watanabe et al. 2023, "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in
    Arbitrary Subspaces", with its extension to conditional parameters, as Optuna has it: how far
    a parameter's values among the better half of the trials differ from those among all.

    Returns:
        Dotted key -> share of the importance, which sum to 1, the largest first. Empty where
        fewer than four trials have finished with a score, or all have the same.
    """
    trials = [t for t in usable(space, facts, history) if t.finite_score is not None]
    scores = [trial.finite_score or 0.0 for trial in trials]
    above = sum(score > min(scores) for score in scores)
    if len(trials) < FEWEST or not above:
        return {}
    # Where more than half are equally bad, such as those that predict the majority class, the
    # better ones are fewer than half. The tenth that Optuna takes is one or two trials here.
    better = min(0.5, (above - 0.5) / len(trials))
    with quiet_optuna():
        import optuna

        study = optuna.create_study(direction="maximize")
        study.add_trials([as_optuna(space, trial) for trial in trials])
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=better)
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {key: float(share) for key, share in found.items()}
