"""Grids of trials with predictions, whose records follow from them."""

from typing import Any

import numpy as np

from orchestrator.report.table import Table, comparison
from tests.helpers.records import Trial, by_key, record, trial
from trainables.results.metrics import counts, trimmed
from trainables.results.predictions import Predictions

EXAMPLES = 400
LABELS = np.arange(EXAMPLES) % 2


def predicted(rng: np.random.Generator, accuracy: float) -> np.ndarray:
    """Predictions of a model that is right with this chance."""
    wrong = rng.random(EXAMPLES) > accuracy
    return np.where(wrong, 1 - LABELS, LABELS)


class Grid:
    """Trials with predictions, whose records follow from them."""

    def __init__(self) -> None:
        self.plan: list[Trial] = []
        self.records: list[Any] = []
        self.predictions: dict[str, dict[str, Predictions]] = {}

    def add(
        self,
        arm: str,
        seed: int,
        tasks: dict[str, np.ndarray],
        groups: np.ndarray | None = None,
        **changes: Any,
    ) -> None:
        """One seed of an arm; of ``single_task`` a trial per task.

        Args:
            arm, seed: of the trial.
            tasks: task -> its predictions, ``(EXAMPLES,)``.
            groups: of each example, of all tasks.
            changes: of its configuration.
        """
        parts = [[task] for task in tasks] if arm.startswith("single") else [list(tasks)]
        for names in parts:
            planned = trial(arm, names, seed=seed, **changes)
            own = {task: Predictions(LABELS, tasks[task], groups) for task in names}
            confusions = {
                task: trimmed(counts(LABELS, part.predictions, 2)).tolist()
                for task, part in own.items()
            }
            self.plan.append(planned)
            self.records.append(record(planned, confusions))
            self.predictions[planned.key] = own

    def table(self, **options: Any) -> Table:
        """The table with predictions; ``options`` of ``comparison``."""
        options = {"predictions": self.predictions} | options
        return comparison(self.plan, by_key(*self.records), **options)


def grid(
    seeds: int = 5,
    tasks: tuple[str, ...] = ("sst2", "mrpc"),
    changes: dict[str, Any] | None = None,
    **accuracy: float | dict[str, float],
) -> Grid:
    """Arms with these accuracies, on all tasks or by task; ``single_task`` has .8 by default.

    Args:
        seeds: how many, from 41.
        tasks: by name.
        changes: of every trial's configuration.
        accuracy: of each arm.
    """
    rng = np.random.default_rng(0)
    made = Grid()
    for arm, mean in ({"single_task": 0.8} | accuracy).items():
        of_task = mean if isinstance(mean, dict) else dict.fromkeys(tasks, mean)
        for seed in range(41, 41 + seeds):
            own = {task: predicted(rng, of_task[task]) for task in tasks}
            made.add(arm, seed, own, **(changes or {}))
    return made


def alike(seeds: int, gap: float, noise: float, changes: dict[str, Any] | None = None) -> Grid:
    """Two arms whose runs are nearly the same models, so that examples are most of the noise.

    Args:
        seeds: how many, from 41.
        gap: chance that an example on which ``shared_encoder`` differs is one that it gets right.
        noise: share of the predictions that a seed changes.
        changes: of every trial's configuration.
    """
    rng = np.random.default_rng(1)
    made = Grid()
    base = predicted(rng, 0.8)
    differs = rng.random(EXAMPLES) < 0.15
    other = np.where(differs, np.where(rng.random(EXAMPLES) < gap, LABELS, 1 - LABELS), base)
    for arm, mean in (("single_task", base), ("shared_encoder", other)):
        for seed in range(41, 41 + seeds):
            flipped = rng.random(EXAMPLES) < noise
            made.add(arm, seed, {"sst2": np.where(flipped, 1 - mean, mean)}, **(changes or {}))
    return made
