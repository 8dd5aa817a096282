"""Made-up searches, so that tests of their report need no training."""

import math
import random
from collections.abc import Sequence
from typing import Any

from orchestrator.search.summary import GroupSummary, SearchSummary, TrialSummary
from trainables.results.status import TrialStatus

FULL = 6000
PLACES = (
    ("single_task", "cola", "matthews"),
    ("single_task", "sst2", "accuracy"),
    ("naive_concat", None, "macro"),
    ("shared_encoder", None, "macro"),
)


def tried(
    index: int,
    score: float | None = 0.5,
    status: str = "finished",
    examples: int = FULL,
    settings: dict[str, Any] | None = None,
    reason: str = "",
    rungs: Sequence[tuple[int, float]] = (),
) -> TrialSummary:
    """One trial."""
    return TrialSummary(
        index=index,
        key=f"{index:012x}",
        settings={"training.learning_rate": 1e-4} if settings is None else settings,
        status=TrialStatus(status),
        reason=reason or status,
        score=score,
        examples=examples,
        full=FULL,
        seconds=examples / 50,
        rungs=tuple(rungs),
    )


def group(
    trials: Sequence[TrialSummary] = (),
    chosen: int | None = None,
    arm: str = "shared_encoder",
    task: str | None = None,
    metric: str = "macro",
    model: str = "minilm-l6",
    importances: dict[str, float] | None = None,
) -> GroupSummary:
    """One group."""
    strategy = "single_task" if task else arm
    return GroupSummary(
        arm, arm, strategy, model, task, metric, tuple(trials), chosen, importances or {}
    )


def search(*groups: GroupSummary) -> SearchSummary:
    """A search of these groups."""
    return SearchSummary("small-models", "random", "asha", 7, groups)


def realistic(trials: int = 16) -> SearchSummary:
    """Four groups under ASHA with a conditional parameter, a divergence and a failure."""
    return search(*(_searched(i, *place, trials) for i, place in enumerate(PLACES)))


def _searched(number: int, arm: str, task: str | None, metric: str, trials: int) -> GroupSummary:
    draw = random.Random(number)
    found = [_trial(i, arm, draw) for i in range(trials)]
    finished = [one for one in found if one.status == "finished"]
    best = max(finished, key=lambda one: one.score or 0.0, default=None)
    keys = dict.fromkeys(key for one in found for key in one.settings)
    shares = [draw.random() ** 2 for _ in keys]
    importances = {key: share / sum(shares) for key, share in zip(keys, shares, strict=True)}
    return group(
        found, None if best is None else best.index, arm, task, metric, importances=importances
    )


def _trial(index: int, arm: str, draw: random.Random) -> TrialSummary:
    settings: dict[str, Any] = {
        "training.learning_rate": math.exp(draw.uniform(math.log(1e-5), math.log(1e-3))),
        "training.batch_size": draw.choice([16, 32, 64]),
        "training.epochs": draw.choice([2, 3, 4]),
        "training.warmup": round(draw.uniform(0.0, 0.2), 3),
        "training.weight_decay": draw.choice([0.0, 0.01, 0.1]),
        "model.dropout": round(draw.uniform(0.0, 0.3), 3),
    }
    if arm == "shared_encoder":
        settings["sampling.name"] = draw.choice(["proportional", "power", "uniform"])
        if settings["sampling.name"] == "power":
            settings["sampling.exponent"] = round(draw.uniform(0.2, 0.9), 3)
    if index == 5:
        reason = "loss is NaN at step 40"
        return tried(index, math.nan, "diverged", 700, settings, reason, [(600, 0.3)])
    if index == 9:
        return tried(index, None, "failed", 0, settings, "CUDA error: out of memory")
    rate = math.log(settings["training.learning_rate"] / 2e-4)
    top = 0.78 - 0.05 * rate**2 - 0.2 * settings["model.dropout"] + draw.gauss(0, 0.01)
    rungs = [(n, top - 0.25 * 2 ** (-n / 1500)) for n in (667, 2000, FULL)]
    if rungs[0][1] < 0.50:
        kept, status, reason = 1, "stopped", "asha: not in the best third at 667 examples"
    elif rungs[1][1] < 0.63:
        kept, status, reason = 2, "stopped", "asha: not in the best third at 2000 examples"
    else:
        kept, status, reason = 3, "finished", "saw its full budget"
    examples, score = rungs[kept - 1]
    return tried(index, score, status, examples, settings, reason, rungs[:kept])
