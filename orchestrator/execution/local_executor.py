"""Runs trials in this process, without Ray."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from orchestrator.config.experiment import SingleTrialConfig
from orchestrator.execution.executor import TrialScheduler
from orchestrator.execution.signals import interrupt, signals
from orchestrator.execution.trial_runtime import trial_runtime
from orchestrator.monitor.live_view import LiveView
from orchestrator.planning.dependencies import Artifacts
from orchestrator.planning.gpu_sharing import GpuSharing
from orchestrator.planning.grid import Config
from orchestrator.planning.plan import PlannedTrial
from orchestrator.planning.resources import (
    NOTHING_CHOSEN,
    GpuNeed,
    ResourceChoices,
    TrialResources,
    cores,
    feasible,
    this_machine,
)
from trainables.errors import TrialError
from trainables.results.status import TrialStatus
from trainables.storage.run_dir import RunDir
from trainables.training.memory import release_memory
from trainables.trial.slices import SLICE_SECONDS, TrialSlices
from trainables.trial.trial import Trial


def _by_memory(need: GpuNeed, threads: Mapping[int, int], trials: int) -> GpuSharing:
    assert need.config is not None
    return GpuSharing(trial=need.config.key, note="trials in one process take turns")


class RandomState:
    """The state of the global random generators of Python, NumPy and torch, of one trial."""

    def __init__(self) -> None:
        self._state = _random_state()

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Draw from this state in the block; afterwards the generators are as they were before."""
        before = _random_state()
        _set_random_state(self._state)
        try:
            yield
        finally:
            self._state = _random_state()
            _set_random_state(before)


@dataclass
class _Running:
    trial: PlannedTrial
    slices: TrialSlices
    random_state: RandomState


class LocalExecutor:
    """Runs trials in this process, in slices; several at once take turns.

    A trial that raises an error leaves a failed record, as with ``TuneExecutor``. There is no
    cluster, no dashboard, and no second attempt for a trial whose process is killed: that is this
    process, and the same command resumes from the trial's newest checkpoint.

    Args:
        config: the grid, or the single trial.
        slice_seconds: how long a trial trains before the next one has its turn.
        before_step: called with a trial before each of its slices.
        after_step: called with a trial and its result after each of its slices.
        release: gives memory back when a trial has ended.
    """

    def __init__(
        self,
        config: Config,
        *,
        slice_seconds: float = SLICE_SECONDS,
        before_step: Callable[[PlannedTrial], None] = lambda trial: None,
        after_step: Callable[[Trial, dict[str, Any]], None] = lambda trial, result: None,
        release: Callable[[], None] = release_memory,
    ) -> None:
        self._config = config
        self._slice_seconds = slice_seconds
        self._before_step = before_step
        self._after_step = after_step
        self._release = release

    def resources(
        self,
        trials: int,
        need: Callable[[], GpuNeed],
        choices: ResourceChoices = NOTHING_CHOSEN,
        *,
        measure: bool = False,
    ) -> TrialResources:
        """See ``Executor``; the same share for each trial as with Ray on this machine.

        One trial runs at a time unless ``resources.max_concurrent`` says otherwise. Limits of
        memory are those of the process, so with a limit it is always one.
        """
        if isinstance(self._config, SingleTrialConfig):
            return TrialResources(self._config.threads or cores(), 1.0, 1)
        measured = _by_memory if measure else None
        shared = feasible(self._config, [this_machine()], trials, need, choices, measured)
        limited = shared.gpu or shared.memory is not None
        at_once = 1 if limited else self._config.resources.max_concurrent or 1
        return replace(shared, slots=min(shared.slots, at_once))

    def check(self, run_dir: RunDir, trials: Iterable[PlannedTrial], glue_dir: str | None) -> None:
        """See ``Executor``; planning has read all of it in this process."""

    def run(
        self,
        next_trial: Callable[[], PlannedTrial | None],
        run_dir: RunDir,
        view: LiveView,
        *,
        resources: TrialResources,
        glue_dir: str | None,
        artifacts: Artifacts,
        scheduler: TrialScheduler | None = None,
    ) -> None:
        """See ``Executor``."""
        scheduler = scheduler or TrialScheduler()
        running: list[_Running] = []
        threads = torch.get_num_threads()

        def start() -> bool:
            trial = next_trial()
            if trial is None:
                return False
            scheduler.on_trial_add(trial)
            view.start(trial.key)
            runtime = trial_runtime(
                self._config,
                run_dir,
                resources,
                glue_dir=glue_dir,
                artifacts=artifacts.get(trial.key, ()),
            )
            slices = TrialSlices(trial.config, runtime, self._slice_seconds, self._release)
            running.append(_Running(trial, slices, RandomState()))
            return True

        more = True
        try:
            with signals(interrupt):
                while True:
                    while more and len(running) < resources.slots:
                        more = start()
                    if not running:
                        return
                    current = running.pop(0)
                    if self._step(current, run_dir, view, scheduler):
                        running.append(current)
        except torch.AcceleratorError as error:
            reason = " ".join(str(error).split())
            raise TrialError(
                f"the GPU cannot be used in this process any more ({reason}); run the command again"
            ) from error
        finally:
            for current in running:
                current.slices.close()
            torch.set_num_threads(threads)

    def _step(
        self, current: _Running, run_dir: RunDir, view: LiveView, scheduler: TrialScheduler
    ) -> bool:
        """Train a trial for a slice; gives whether it goes on."""
        planned, key, trial = current.trial, current.trial.key, current.slices.trial
        assert trial is not None
        self._before_step(planned)
        with current.random_state.swapped_in():
            result = current.slices.step()
        self._after_step(trial, result)
        del trial
        view.update(key, result)
        if result["done"]:
            view.finish(key, TrialStatus(result["status"]), result["error"])
        elif scheduler.on_trial_result(planned, result) == "continue":
            return True
        else:
            current.slices.stop()
        run_dir.fetch(run_dir.record(key))
        scheduler.on_trial_complete(planned)
        return False


def _random_state() -> tuple[Any, Any, Any, Any]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    return random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda


def _set_random_state(state: tuple[Any, Any, Any, Any]) -> None:
    python, numpy, cpu, cuda = state
    random.setstate(python)
    np.random.set_state(numpy)
    torch.set_rng_state(cpu)
    if cuda is not None:
        torch.cuda.set_rng_state_all(cuda)
