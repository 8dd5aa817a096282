"""Which trials are stopped early: a scheduler of Ray Tune for each group.

Rungs are shared by all trials that a scheduler of Tune sees. With one for all groups, tasks that
are hard would lose every trial to tasks that are easy. Time is counted in training examples.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from ray.tune import schedulers as ray_schedulers

from orchestrator.config.search import TuneConfig
from orchestrator.execution.executor import Decision, TrialScheduler
from orchestrator.monitor.live_view import LiveView
from orchestrator.planning.plan import PlannedTrial
from orchestrator.search.ledger import ScoreReported
from orchestrator.search.rungs import reached
from orchestrator.search.study import Study
from orchestrator.search.time_budget import TimeBudget
from trainables.results.record import read_record
from trainables.results.status import TrialStatus
from trainables.seeding import derive_seed
from trainables.storage.run_dir import RunDir
from trainables.trial.cleanup import discard

TIME, SCORE = "examples", "score"

TIE_BREAK = 1e-6
"""Of the loss in what schedulers compare; no two scores that differ lie as close as that."""


@dataclass(frozen=True)
class TrialId:
    """A trial for a scheduler of Tune, which reads its id; here its key, the same in every run."""

    trial_id: str


class GroupSchedulers:
    """The schedulers of all groups, brought up to date by reports in the order of the ledger.

    Tune loses the rungs of its schedulers when it is interrupted. Here the reports of before an
    interruption are replayed, so the next decision is the one that it would have been.

    Args:
        study: the search so far; its history is replayed.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._schedulers = {
            group.name: make_scheduler(study.description.tune, len(group.rungs))
            for group in study.groups.values()
        }
        self._added: set[str] = set()
        for report in study.history:
            self.decide(report.key, report.examples, report.score, report.loss)

    def add(self, key: str) -> None:
        """A trial starts, which may be one that has started before."""
        if key in self._added:
            return
        self._added.add(key)
        event = self._study.suggested[key]
        scheduler = self._schedulers[event.group]
        with _seeded(self._study.description.tune.seed, event.group, event.number):
            scheduler.on_trial_add(None, TrialId(key))  # type: ignore[arg-type]

    def decide(self, key: str, examples: float, score: float, loss: float) -> Decision:
        """Report a trial's score to the scheduler of its group; gives its decision."""
        self.add(key)
        group = self._study.group_of(key)
        time = time_of(self._study.description.tune, reached(group.rungs, examples))
        # Early on, weak encoders predict the majority class whatever their settings: of equal
        # scores the one with the lower loss is better, where a scheduler would let all go on.
        result = {TIME: time, SCORE: score - TIE_BREAK * loss}
        scheduler = self._schedulers[group.name]
        decision = scheduler.on_trial_result(None, TrialId(key), result)  # type: ignore[arg-type]
        return "stop" if decision == ray_schedulers.TrialScheduler.STOP else "continue"


class SearchScheduler(TrialScheduler):
    """Asks the schedulers of the groups about every new report, and keeps what they decide.

    Args:
        study: the search.
        run_dir: the folder of its trials.
        view: told of trials that are stopped.
        time_budget: when it is exhausted, trials end unfinished.
    """

    def __init__(
        self, study: Study, run_dir: RunDir, view: LiveView, time_budget: TimeBudget
    ) -> None:
        self._study = study
        self._run_dir = run_dir
        self._view = view
        self._time_budget = time_budget
        self._schedulers = GroupSchedulers(study)

    def on_trial_add(self, trial: PlannedTrial) -> None:
        """See ``TrialScheduler``."""
        self._schedulers.add(trial.key)

    def on_trial_result(self, trial: PlannedTrial, result: Mapping[str, Any]) -> Decision:
        """Decide on the reports that are new since the trial's last result."""
        key = trial.key
        if self._time_budget.exhausted:
            # Unfinished, not stopped: another command goes on with it.
            return "stop"
        decided = len(self._study.reports.get(key, ()))
        trained = result["step"] >= result["total_steps"]
        for examples, score, loss in result["rungs"][decided:]:
            decision = self._schedulers.decide(key, examples, score, loss)
            if trained:
                # There is nothing to save of a trial that has seen all that it would see.
                decision = "continue"
            self._study.add(
                ScoreReported(
                    key=key,
                    examples=int(examples),
                    score=score,
                    loss=loss,
                    seconds=examples / max(result["examples_per_second"], 1e-9),
                    trained=trained,
                    decision=decision,
                )
            )
            if decision == "stop":
                self._view.finish(key, TrialStatus.STOPPED, f"{score:.3f} at {int(examples):,}")
                discard(self._run_dir, key)
                return "stop"
        return "continue"

    def on_trial_complete(self, trial: PlannedTrial) -> None:
        """Add the trial's end to the ledger: the next suggestion may depend on it."""
        path = self._run_dir.record(trial.key)
        if path.is_file():
            self._study.take_record(read_record(path))


def time_of(tune: TuneConfig, rung: int) -> float:
    """The time at which a trial reaches its group's rung number ``rung``, from 1, for a scheduler.

    The times of asha and hyperband are their own rungs.
    """
    return float(rung) if tune.scheduler == "median" else tune.reduction ** (rung - 1)


def make_scheduler(tune: TuneConfig, rungs: int) -> ray_schedulers.FIFOScheduler:
    """A scheduler of Ray Tune for one group.

    Args:
        tune: names the scheduler and its settings.
        rungs: number of rungs of the group.
    """
    return SCHEDULERS[tune.scheduler](tune, rungs)


def _halving(tune: TuneConfig, rungs: int, *, brackets: bool) -> ray_schedulers.FIFOScheduler:
    """Asynchronous successive halving.

    Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2 in its
    stopping form, as Ray Tune has it. With ``brackets``, each begins to stop later than the one
    before: section 3 of the same paper, after Li et al. 2018, "Hyperband".
    """
    return ray_schedulers.AsyncHyperBandScheduler(
        time_attr=TIME,
        metric=SCORE,
        mode="max",
        # Between the last rung and one more, which would be the end.
        max_t=tune.reduction ** (rungs - 0.5),  # type: ignore[arg-type]
        grace_period=1,
        reduction_factor=tune.reduction,
        brackets=rungs if brackets else 1,
        stop_last_trials=False,
    )


def _median(tune: TuneConfig, rungs: int) -> ray_schedulers.FIFOScheduler:
    """The median stopping rule: Golovin et al. 2017, "Google Vizier", section 3.2.2."""
    # Without a time slice it would pause trials for each other while it knows too little to stop.
    return ray_schedulers.MedianStoppingRule(
        time_attr=TIME,
        metric=SCORE,
        mode="max",
        grace_period=time_of(tune, 1),
        min_time_slice=math.inf,  # type: ignore[arg-type]
    )


SCHEDULERS: dict[str, Callable[[TuneConfig, int], ray_schedulers.FIFOScheduler]] = {
    "asha": partial(_halving, brackets=False),
    "hyperband": partial(_halving, brackets=True),
    "median": _median,
    "none": lambda tune, rungs: ray_schedulers.FIFOScheduler(),
}
"""Name of a scheduler -> makes it for one group."""


@contextmanager
def _seeded(seed: int, group: str, number: int) -> Iterator[None]:
    """Let Tune draw a trial's bracket from NumPy's global generator by the trial's own seed.

    Not by its key, which holds the fingerprint of the validation split too.
    """
    before = np.random.get_state()
    np.random.seed(derive_seed(seed, "bracket", group, number) % 2**32)
    try:
        yield
    finally:
        np.random.set_state(before)
