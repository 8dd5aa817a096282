"""Runs trials with Ray Tune.

Tune gets only the trials without a record in the run directory, so that a resumed run does not
depend on Tune's own restore, whatever ended the run before.
"""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Any

from ray import tune
from rich.console import Console

from orchestrator.config.experiment import ExperimentConfig
from orchestrator.execution.executor import TrialScheduler
from orchestrator.execution.ray.cluster import connected, dashboard
from orchestrator.execution.ray.nodes import on_a_gpu, on_every_node
from orchestrator.execution.ray.preflight import check_nodes
from orchestrator.execution.signals import Stop, signals
from orchestrator.execution.throughput import measure_sharing
from orchestrator.execution.trial_runtime import trial_runtime
from orchestrator.execution.tune_hooks import (
    SchedulerAdapter,
    TrialQueue,
    failure_reason,
    key_of,
    killed_for_memory,
    reuses_processes,
    trainable_name,
)
from orchestrator.monitor.live_view import LiveView
from orchestrator.planning.dependencies import Artifacts
from orchestrator.planning.gpu_sharing import GpuSharing
from orchestrator.planning.pending import failed
from orchestrator.planning.plan import PlannedTrial
from orchestrator.planning.resources import (
    NOTHING_CHOSEN,
    GpuNeed,
    Node,
    ResourceChoices,
    TrialResources,
    feasible,
)
from trainables.atomic import write_text
from trainables.errors import ResourceError
from trainables.results.record import TrialRecord, read_kills, write_record
from trainables.results.status import TrialStatus
from trainables.storage.run_dir import RunDir
from trainables.training.checkpoint import checkpoints
from trainables.training.memory import GB
from trainables.trial.progress import read_progress
from trainables.tune.trainable import TrialTrainable, register

RETRY_SECONDS = 2.0
"""Between two attempts to write records while the storage is unavailable."""

QUIET_SECONDS = 20.0
"""Without a result for so long, a trial's progress file is read: it may be evaluating."""


class TuneExecutor:
    """Runs trials with Ray Tune; a context that disconnects from Ray when it is left.

    Args:
        experiment: the grid.
        console: where the address of Ray's dashboard is printed.
        where: what Ray's dashboard and job list name as the run directory; None: no run.
        machine: what a Ray that is started here is told of this machine; None: what there is.
        trainable: trains the trials in place of the classes of ``trainables/tune/trainable.py``.
    """

    def __init__(
        self,
        experiment: ExperimentConfig,
        console: Console | None = None,
        where: str | None = None,
        *,
        machine: Node | None = None,
        trainable: type[tune.Trainable] | None = None,
    ) -> None:
        self._experiment = experiment
        self._console = console or Console()
        self._where = where
        self._machine = machine
        self._trainable = trainable
        self._nodes: list[Node] | None = None
        self._stack = ExitStack()

    def __enter__(self) -> "TuneExecutor":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def resources(
        self,
        trials: int,
        need: Callable[[], GpuNeed],
        choices: ResourceChoices = NOTHING_CHOSEN,
        *,
        measure: bool = False,
    ) -> TrialResources:
        """See ``Executor``; the first call starts Ray, or joins the cluster.

        Raises:
            RayLostError: in the executor's context, once Ray has died.
        """
        if self._nodes is None:
            ray = connected(self._experiment, self._where, self._machine)
            self._nodes = self._stack.enter_context(ray)
            if self._experiment.ray.dashboard:
                self._console.print(dashboard(), markup=False, soft_wrap=True)
        measured = self._measure if measure else None
        resources = feasible(self._experiment, self._nodes, trials, need, choices, measured)
        if measure and resources.sharing is not None:
            self._console.print(resources.why, markup=False, soft_wrap=True)
        return resources

    def _measure(self, need: GpuNeed, threads: Mapping[int, int], trials: int) -> GpuSharing:
        """Measure trials an hour on a GPU of a node; memory alone decides where that fails."""
        assert need.config is not None
        self._console.print(
            "resources.gpu=auto: measuring how many trials at once a GPU trains fastest, "
            "which takes a minute or two",
            markup=False,
        )
        # Nothing is read or written in a run directory.
        alone = TrialResources(cpu=1, gpu=1.0, slots=1)
        runtime = trial_runtime(self._experiment, RunDir("."), alone, glue_dir=need.glue_dir)
        measured = partial(
            measure_sharing, need.config, runtime, threads, examples=need.examples, trials=trials
        )
        try:
            return on_a_gpu(measured)
        except ResourceError as error:
            return GpuSharing(trial=need.config.key, note=f"not measured, {error}")

    def check(self, run_dir: RunDir, trials: Iterable[PlannedTrial], glue_dir: str | None) -> None:
        """See ``Executor``; on this machine there is nothing to check."""
        if self._experiment.ray.address is not None:
            check_nodes(on_every_node, run_dir, trials, glue_dir)

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
        """See ``Executor``; Ray must be connected."""
        scheduler = scheduler or TrialScheduler()
        started: dict[str, PlannedTrial] = {}
        spec = self._specs(run_dir, resources, glue_dir, artifacts)

        def next_config() -> dict[str, Any] | None:
            trial = next_trial()
            if trial is None:
                return None
            started[trial.key] = trial
            return {"trial_spec": spec(trial)}

        register()
        if self._trainable is not None:
            tune.register_trainable(self._trainable.__name__, self._trainable)
        callback = TuneCallback(view, started, run_dir, scheduler)
        with _storage() as storage:
            tuner = tune.Tuner(
                TrialTrainable,
                tune_config=tune.TuneConfig(
                    search_alg=TrialQueue(next_config),
                    num_samples=2**31,
                    reuse_actors=reuses_processes(self._experiment.ray),
                    scheduler=SchedulerAdapter(scheduler, started, callback.defer),
                    max_concurrent_trials=resources.slots,
                    trial_name_creator=key_of,
                    trial_dirname_creator=key_of,
                ),
                run_config=tune.RunConfig(
                    name="trials",
                    storage_path=storage,
                    verbose=0,
                    callbacks=[callback],
                    failure_config=tune.FailureConfig(max_failures=self._experiment.retries),
                    checkpoint_config=tune.CheckpointConfig(
                        checkpoint_frequency=0, checkpoint_at_end=False
                    ),
                ),
            )
            with signals(callback.stop):
                tuner.fit()
        callback.raise_deferred()
        callback.write_pending_records()

    def _specs(
        self, run_dir: RunDir, resources: TrialResources, glue_dir: str | None, artifacts: Artifacts
    ) -> Callable[[PlannedTrial], dict[str, Any]]:
        """Makes the specification of a trial that its ``TrialTrainable`` gets."""
        runtime = trial_runtime(self._experiment, run_dir, resources, glue_dir=glue_dir)
        content = runtime.model_dump(mode="json")
        bundle = {"CPU": float(resources.cpu)} | ({"GPU": resources.gpu} if resources.gpu else {})
        if resources.memory is not None:
            bundle["memory"] = float(int(resources.memory * GB))

        def spec(trial: PlannedTrial) -> dict[str, Any]:
            strategy = trial.config.arm.strategy
            return {
                "key": trial.key,
                "trial": trial.config.model_dump(mode="json"),
                "runtime": content | {"artifacts": artifacts.get(trial.key, ())},
                "resources": bundle,
                "process": self._trainable.__name__
                if self._trainable is not None
                else trainable_name(strategy, self._experiment.ray),
            }

        return spec


@contextmanager
def _storage() -> Iterator[str]:
    """A folder for Tune's own state, removed when the trials have ended.

    A folder of this machine serves for a cluster too: a worker looks for it only when it gives
    Tune a checkpoint or artifacts, and these trials keep theirs in the run directory.
    """
    with tempfile.TemporaryDirectory(prefix="one-or-many-", ignore_cleanup_errors=True) as folder:
        yield folder


class TuneCallback(tune.Callback):
    """Updates the live view, and writes the records of trials whose process died.

    Args:
        view: shown the progress.
        trials: key -> every trial that has started.
        run_dir: where the trials leave their records.
        scheduler: told of trials that have ended.
    """

    def __init__(
        self,
        view: LiveView,
        trials: Mapping[str, PlannedTrial],
        run_dir: RunDir,
        scheduler: TrialScheduler | None = None,
    ) -> None:
        self.stop = Stop()
        self._view = view
        self._trials = trials
        self._run_dir = run_dir
        self._scheduler = scheduler or TrialScheduler()
        self._checkpoint_at_failure: dict[str, str | None] = {}
        self._unwritten: list[TrialRecord] = []
        self._deferred: Exception | None = None
        self._last_attempt = 0.0
        self._evaluating: dict[str, float] = {}
        self._last_check = time.monotonic()

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its callbacks and reads nothing of it.
        return {}

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """See ``tune.Callback``; called several times a second."""
        self.stop.check()
        self.raise_deferred()
        if self._unwritten and time.monotonic() - self._last_attempt >= RETRY_SECONDS:
            self._try_to_write_records()
        if time.monotonic() - self._last_check >= QUIET_SECONDS / 2:
            self._check_evaluations()

    def _check_evaluations(self) -> None:
        """Update trials in a long evaluation, which give no result until it is over.

        Their progress files show it, unless those are on another machine.
        """
        self._last_check = time.monotonic()
        for trial in self._view.progress.running():
            key, now = trial.expected.key, self._view.now()
            if trial.last is None or now - trial.last["time"] < QUIET_SECONDS:
                continue
            progress = read_progress(self._run_dir.progress(key))
            if progress is None or progress.get("phase") != "evaluating":
                continue
            if self._evaluating.get(key) != progress["time"]:
                self._evaluating[key] = progress["time"]
                self._view.update(key, progress)

    def write_pending_records(self) -> None:
        """Write the records that could not be written before.

        Raises:
            OSError: they still cannot.
        """
        while self._unwritten:
            record = self._unwritten[0]
            write_record(self._run_dir, record)
            self._run_dir.publish(self._run_dir.record(record.key), wait=False)
            del self._unwritten[0]

    def _try_to_write_records(self) -> None:
        """Write the pending records; if the storage does not take them, try again later."""
        # Storage that is unavailable or full for a while must not end the other trials.
        with suppress(OSError):
            self.write_pending_records()
        self._last_attempt = time.monotonic()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """See ``tune.Callback``."""
        self._view.start(key_of(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """See ``tune.Callback``."""
        key = key_of(trial)
        self._view.update(key, result)
        if "status" in result:
            self._view.finish(key, TrialStatus(result["status"]), result["error"])
        # ``retries`` counts failures in a row: a new checkpoint since the last one is progress.
        died = trial.run_metadata.num_failures > 0
        if died and self._newest(key) not in (None, self._checkpoint_at_failure.get(key)):
            trial.run_metadata.num_failures = 0

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The trial's process died and will be started again.

        After one that was killed for memory, the trial cuts its batches into smaller parts.
        """
        key = key_of(trial)
        if killed_for_memory(trial):
            with suppress(OSError):
                kills, path = read_kills(self._run_dir, key) + 1, self._run_dir.memory_kills(key)
                write_text(path, f"{min(kills, 99)}\n")
                self._run_dir.publish(path, wait=False)
        self._checkpoint_at_failure[key] = self._newest(key)
        self._view.restart(key, failure_reason(trial))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """See ``tune.Callback``; the trial has ended or was stopped."""
        self._complete(key_of(trial))

    def _complete(self, key: str) -> None:
        try:
            self._run_dir.fetch(self._run_dir.record(key))
            self._scheduler.on_trial_complete(self._trials[key])
        except Exception as error:
            self.defer(error)

    def defer(self, error: Exception) -> None:
        """Keep an error that ends the run; raised now, Tune would take it for a trial's."""
        self._deferred = self._deferred or error

    def raise_deferred(self) -> None:
        """Raise the error that ``defer`` has kept, if there is one."""
        if self._deferred is not None:
            raise self._deferred

    def _newest(self, key: str) -> str | None:
        """Name of a trial's newest checkpoint; None if it has none."""
        here = (path.name for path in checkpoints(self._run_dir.checkpoints(key)))
        with suppress(OSError):
            return self._run_dir.newest_checkpoint(key) or next(here, None)
        return None

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The trial's process died more often than ``retries`` allows."""
        if self.stop.asked:
            return
        key = key_of(trial)
        reason = failure_reason(trial)
        self._unwritten.append(failed(self._trials[key], reason))
        self._try_to_write_records()
        self._view.finish(key, TrialStatus.FAILED, reason)
        self._complete(key)
