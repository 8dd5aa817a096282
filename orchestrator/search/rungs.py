"""When the trials of a group are measured."""

from bisect import bisect
from collections.abc import Sequence

from orchestrator.config.search import TunedExperimentConfig


def rungs(experiment: TunedExperimentConfig, budget: int) -> tuple[int, ...]:
    """Training examples after which the trials of a group are measured.

    Args:
        experiment: says how trials are stopped.
        budget: training examples that the longest trial sees.
    """
    tune = experiment.tune
    if tune.scheduler == "none":
        return ()
    if tune.scheduler == "pbt":
        shares = [n / tune.generations for n in range(1, tune.generations)]
    elif tune.scheduler == "median":
        first, share = tune.grace, 1 / tune.measurements
        shares = [n * share for n in range(1, tune.measurements)]
        shares = [first, *(share for share in shares if share > first)]
    else:
        shares = []
        while (share := tune.grace * tune.reduction ** len(shares)) < 1:
            shares.append(share)
    return tuple(sorted({max(1, round(share * budget)) for share in shares}))


def reached(rungs: Sequence[int], examples: float) -> int:
    """How many rungs a trial has reached that was measured after so many examples.

    A trial is measured at the first step that reaches a rung, which differs with the batch size:
    compared are trials at the same rung.
    """
    return bisect(rungs, examples)
