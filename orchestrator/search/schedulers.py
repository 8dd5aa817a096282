"""Which trials are stopped early: one scheduler of Ray Tune per group, so that like meets like.

Rungs are shared by all trials that a scheduler of Tune sees; with one for all arms, tasks that are
hard would lose every trial to tasks that are easy. Time is counted in training examples.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

from orchestrator.config.search import TuneConfig
from orchestrator.execution.tune_hooks import Scheduler
from orchestrator.monitor.live_view import LiveView
from orchestrator.search.ledger import ScoreReported
from orchestrator.search.plan import Group
from orchestrator.search.rungs import reached
from orchestrator.search.study import SearchState
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
class Named:
    """A trial as a scheduler of Tune knows it: by an id, here the key, the same in every run."""

    trial_id: str


class PerGroup(Scheduler):
    """Asks the group's own scheduler about every measurement, and keeps what it decides.

    What was measured before an interruption is told to the schedulers again in the order in which
    it came, so they decide as they would have decided without it. Tune's own way of keeping a
    scheduler loses the rungs.

    Args:
        state: the search.
        layout: the folder of its trials.
        view: told of trials that are stopped.
        ending: whether the search is to end before its time.
    """

    def __init__(
        self, state: SearchState, layout: RunDir, view: LiveView, ending: TimeBudget
    ) -> None:
        super().__init__()
        self._state = state
        self._layout = layout
        self._view = view
        self._ending = ending
        self._schedulers = {g.name: make_scheduler(state, g) for g in state.groups.values()}
        self._added: set[str] = set()
        for event in state.history:
            self._tell(event.key, event.examples, event.score, event.loss)

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles it and reads nothing of it.
        return {}

    def _tell(self, key: str, examples: float, score: float, loss: float) -> str:
        """Tell the group's scheduler of a measurement; gives what it decides."""
        self._add(key)
        group = self._state.group_of(key)
        time = time_of(self._state.description.tune, reached(group.rungs, examples))
        # Early on, weak encoders predict the majority class whatever their settings: of equal
        # scores the one with the lower loss is better, where a scheduler would let all go on.
        result = {TIME: time, SCORE: score - TIE_BREAK * loss}
        scheduler = self._schedulers[group.name]
        return scheduler.on_trial_result(None, Named(key), result)  # type: ignore[arg-type]

    def _add(self, key: str) -> None:
        if key not in self._added:
            self._added.add(key)
            event = self._state.proposed[key]
            with _drawing(self._state.description.tune.seed, event.group, event.number):
                self._schedulers[event.group].on_trial_add(None, Named(key))  # type: ignore[arg-type]

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """See ``TrialScheduler``."""
        super().on_trial_add(tune_controller, trial)
        self._add(_key(trial))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Decide on the measurements that are new since the trial's last result."""
        key = _key(trial)
        if self._ending.now:
            # Unfinished, not stopped: another command goes on with it.
            return TrialScheduler.STOP
        known = len(self._state.measured.get(key, ()))
        trained = result["step"] >= result["total_steps"]
        for examples, score, loss in result["rungs"][known:]:
            decision = self._tell(key, examples, score, loss)
            # There is nothing to save of a trial that has seen all that it would see.
            stop = decision == TrialScheduler.STOP and not trained
            self._state.add(
                ScoreReported(
                    key=key,
                    examples=int(examples),
                    score=score,
                    loss=loss,
                    seconds=examples / max(result["examples_per_second"], 1e-9),
                    decision="stop" if stop else "continue",
                )
            )
            if stop:
                self._view.finish(key, TrialStatus.STOPPED, f"{score:.3f} at {int(examples):,}")
                discard(self._layout, key)
                return TrialScheduler.STOP
        return TrialScheduler.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """A trial has ended, also by being stopped; whoever proposes the next one is to know."""
        key = _key(trial)
        path = self._layout.record(key)
        self._layout.fetch(path)
        if path.is_file():
            self._state.records[key] = read_record(path)


def time_of(tune: TuneConfig, rung: int) -> float:
    """When a scheduler is told that a trial reached its group's rung number ``rung``, from 1.

    Times of asha and hyperband are their own rungs.
    """
    return float(rung) if tune.scheduler == "median" else tune.reduction ** (rung - 1)


class ToTheEnd(Scheduler):
    """Lets every trial end, unless the search is to end before its time.

    Args:
        ended: told the key of each trial that has ended.
        ending: whether the search is to end.
    """

    def __init__(self, ended: Callable[[str], None], ending: TimeBudget) -> None:
        super().__init__()
        self._ended = ended
        self._ending = ending

    def __getstate__(self) -> dict[str, Any]:
        # See PerGroup.
        return {}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """See ``TrialScheduler``; a trial that is stopped is unfinished."""
        return TrialScheduler.STOP if self._ending.now else TrialScheduler.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """See ``TrialScheduler``."""
        self._ended(_key(trial))


def make_scheduler(state: SearchState, group: Group) -> FIFOScheduler:
    """The scheduler of one group.

    ``asha``: asynchronous successive halving, Li et al. 2020, "A System for Massively Parallel
    Hyperparameter Tuning", algorithm 2 in its stopping form, as Ray Tune has it. ``hyperband``: the
    same with several brackets, of which each begins to stop later than the one before; section 3 of
    the same paper, after Li et al. 2018, "Hyperband". ``median``: the median stopping rule, Golovin
    et al. 2017, "Google Vizier", section 3.2.2.
    """
    tune = state.description.tune
    common: dict[str, Any] = {"time_attr": TIME, "metric": SCORE, "mode": "max"}
    if tune.scheduler == "none":
        return FIFOScheduler()
    if tune.scheduler == "median":
        # It would pause trials for each other where it knows too little to stop one.
        return MedianStoppingRule(
            **common,
            grace_period=time_of(tune, 1),
            min_time_slice=math.inf,  # type: ignore[arg-type]
        )
    rungs = len(group.rungs)
    return AsyncHyperBandScheduler(
        **common,
        # Between the last rung and one more, which would be the end.
        max_t=tune.reduction ** (rungs - 0.5),  # type: ignore[arg-type]
        grace_period=1,
        reduction_factor=tune.reduction,
        brackets=rungs if tune.scheduler == "hyperband" else 1,
        stop_last_trials=False,
    )


@contextmanager
def _drawing(seed: int, group: str, number: int) -> Iterator[None]:
    """Let Tune draw a trial's bracket from NumPy's one generator by the trial's own seed.

    Not by its key, which holds the fingerprint of the validation split too.
    """
    before = np.random.get_state()
    np.random.seed(derive_seed(seed, "bracket", group, number) % 2**32)
    try:
        yield
    finally:
        np.random.set_state(before)


def _key(trial: Any) -> str:
    return trial.config["cell"]["key"]
