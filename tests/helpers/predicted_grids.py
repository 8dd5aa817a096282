"""Grids whose predictions are drawn, so that arms have intervals and verdicts."""

from typing import Any

import numpy as np

from orchestrator.report.table import Table, comparison
from tests.helpers.records import Trial, by_key, record, trial
from trainables.results.metrics import counts, trimmed
from trainables.results.predictions import Predictions

EXAMPLES = 400
LABELS = np.arange(EXAMPLES) % 2


def predicted(rng: np.random.Generator, accuracy: float) -> np.ndarray:
    wrong = rng.random(EXAMPLES) > accuracy
    return np.where(wrong, 1 - LABELS, LABELS)


class Grid:
    """Trials with predictions, whose records follow from them."""

    def __init__(self) -> None:
        self.plan: list[Trial] = []
        self.records: list[Any] = []
        self.predictions: dict[str, dict[str, Predictions]] = {}

    def add(self, arm: str, seed: int, tasks: dict[str, np.ndarray], **changes: Any) -> None:
        """One seed of an arm; of ``single_task`` a trial per task."""
        groups = [[task] for task in tasks] if arm.startswith("single") else [list(tasks)]
        for names in groups:
            planned = trial(arm, names, seed=seed, **changes)
            own = {task: Predictions(LABELS, tasks[task]) for task in names}
            confusions = {
                task: trimmed(counts(LABELS, part.predictions, 2)).tolist()
                for task, part in own.items()
            }
            self.plan.append(planned)
            self.records.append(record(planned, confusions))
            self.predictions[planned.key] = own

    def table(self, **options: Any) -> Table:
        options = {"predictions": self.predictions} | options
        return comparison(self.plan, by_key(*self.records), **options)


def grid(seeds: int = 5, tasks: tuple[str, ...] = ("sst2", "mrpc"), **accuracy: float) -> Grid:
    """Arms with these accuracies on all tasks, of ``single_task`` .8 unless it is given."""
    rng = np.random.default_rng(0)
    made = Grid()
    for arm, mean in ({"single_task": 0.8} | accuracy).items():
        for seed in range(41, 41 + seeds):
            made.add(arm, seed, {task: predicted(rng, mean) for task in tasks})
    return made
