"""Schedules a plan's unfinished trials with Ray Tune.

The records in the run directory say what is finished; Tune is asked only for the rest, so a
continued run is the plan minus its finished records, whatever ended the one before.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ray import tune

from orchestrator.config.experiment import ExperimentConfig
from orchestrator.execution.signals import Stop, signals
from orchestrator.execution.tune_hooks import (
    Scheduler,
    TrialQueue,
    killed_for_memory,
    process_of,
    reuses,
    why,
)
from orchestrator.monitor.live_view import LiveView
from orchestrator.planning.pending import Leaves, failed
from orchestrator.planning.plan import PlannedTrial
from orchestrator.planning.resources import TrialResources
from trainables.atomic import write_text
from trainables.config.trial import Runtime
from trainables.results.record import TrialRecord, read_kills, write_record
from trainables.results.status import TrialStatus
from trainables.storage.run_dir import RunDir
from trainables.training.checkpoint import checkpoints
from trainables.training.memory import GB
from trainables.trial.progress import read_progress
from trainables.tune.trainable import TrialTrainable, register

RETRY_SECONDS = 2.0
"""Between two attempts to write records while the storage is away."""

QUIET_SECONDS = 20.0
"""After so long without a result the file is read in which a trial says that it evaluates."""


def run_trials(
    trials: list[PlannedTrial],
    experiment: ExperimentConfig,
    layout: RunDir,
    resources: TrialResources,
    glue_dir: str | None,
    leaves: Leaves,
    view: LiveView,
    trainable: type[tune.Trainable] | None = None,
) -> None:
    """Run ``trials``, started in this order; needs a connected Ray and an entered view.

    Every trial leaves a record, also one that failed. Ctrl-C and SIGTERM raise
    ``KeyboardInterrupt`` with the finished records kept. ``trainable`` is what trains a cell (see
    ``cells``), in place of the classes of ``trainables/tune/trainable.py``.
    """
    cell = cells(experiment, layout, resources, glue_dir, leaves)
    follow = TuneCallback(view, {trial.key: trial for trial in trials}, layout)
    waiting = iter(trials)

    def next_cell() -> dict[str, Any] | None:
        trial = next(waiting, None)
        if trial is None:
            return None
        other = {} if trainable is None else {"process": trainable.__name__}
        return {"cell": cell(trial) | other}

    if trainable is not None:
        tune.register_trainable(trainable.__name__, trainable)
    fit(follow, experiment, resources, search_alg=TrialQueue(next_cell))


def cells(
    experiment: ExperimentConfig,
    layout: RunDir,
    resources: TrialResources,
    glue_dir: str | None,
    leaves: Leaves,
) -> Callable[[PlannedTrial], dict[str, Any]]:
    """Makes of a trial what ``TrialTrainable`` is given."""
    runtime = runtime_of(experiment, layout, resources, glue_dir).model_dump(mode="json")
    bundle = {"CPU": float(resources.cpu)} | ({"GPU": resources.gpu} if resources.gpu else {})
    if resources.memory is not None:
        bundle["memory"] = float(int(resources.memory * GB))

    def cell(trial: PlannedTrial) -> dict[str, Any]:
        return {
            "key": trial.key,
            "trial": trial.config.model_dump(mode="json"),
            "runtime": runtime | {"artifacts": leaves.get(trial.key, ())},
            "resources": bundle,
            "process": process_of(trial.config.arm.strategy, experiment.ray),
        }

    return cell


def fit(
    follow: "TuneCallback",
    experiment: ExperimentConfig,
    resources: TrialResources,
    *,
    search_alg: TrialQueue,
    scheduler: Scheduler | None = None,
    **options: Any,
) -> None:
    """Let Tune run trials; ``options`` are its own (``tune.TuneConfig``).

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM; finished records are kept.
    """
    register()
    with _storage() as storage:
        tuner = tune.Tuner(
            TrialTrainable,
            tune_config=tune.TuneConfig(
                search_alg=search_alg,
                num_samples=2**31,
                reuse_actors=reuses(experiment.ray),
                scheduler=scheduler or Scheduler(),
                max_concurrent_trials=resources.slots,
                trial_name_creator=lambda trial: trial.config["cell"]["key"],
                trial_dirname_creator=lambda trial: trial.config["cell"]["key"],
                **options,
            ),
            run_config=tune.RunConfig(
                name="trials",
                storage_path=storage,
                verbose=0,
                callbacks=[follow],
                failure_config=tune.FailureConfig(max_failures=experiment.retries),
                checkpoint_config=tune.CheckpointConfig(
                    checkpoint_frequency=0, checkpoint_at_end=False
                ),
            ),
        )
        with signals(follow.stop):
            tuner.fit()
    follow.write_waiting()


@contextmanager
def _storage() -> Iterator[str]:
    """A folder for Tune's own state, which nothing needs any more when the grid has ended.

    It is this machine's and this user's alone, on a cluster too: Tune's ``StorageContext`` makes
    and checks its marker file where the Tuner is made, that is here, and a worker looks for it only
    when it hands Tune a checkpoint (``persist_current_checkpoint``) or artifacts (off by default).
    Trials here hand over neither; what they keep is in the run directory.
    """
    with tempfile.TemporaryDirectory(prefix="one-or-many-", ignore_cleanup_errors=True) as folder:
        yield folder


def runtime_of(
    experiment: ExperimentConfig, layout: RunDir, resources: TrialResources, glue: str | None
) -> Runtime:
    """Where the grid's trials run."""
    cache = experiment.data.cache_dir
    return Runtime(
        output_dir=str(layout.root.resolve()),
        store=layout.url,
        device="cuda" if resources.gpu else "cpu",
        threads=resources.cpu,
        gpu=resources.gpu,
        glue_dir=glue,
        cache_dir=str(Path(cache).expanduser().resolve()) if cache else None,
        tracking=experiment.tracking,
        wandb=experiment.wandb,
        mlflow=experiment.mlflow,
        save_model=experiment.save_models,
        keep_checkpoints=experiment.checkpoint.keep,
        checkpoint_every=experiment.checkpoint.every,
        patience=experiment.checkpoint.patience,
        memory=resources.memory,
    )


class TuneCallback(tune.Callback):
    """Tells the live view what Tune's trials do, and records those whose process died."""

    def __init__(self, view: LiveView, trials: Mapping[str, PlannedTrial], layout: RunDir) -> None:
        self.stop = Stop()
        self._view = view
        self._trials = trials
        self._layout = layout
        self._at_death: dict[str, str | None] = {}
        self._waiting: list[TrialRecord] = []
        self._tried = 0.0
        self._heard: dict[str, float] = {}
        self._listened = time.monotonic()

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """See ``tune.Callback``; Tune comes here several times a second."""
        self.stop.check()
        if self._waiting and time.monotonic() - self._tried >= RETRY_SECONDS:
            self._try_to_write()
        if time.monotonic() - self._listened >= QUIET_SECONDS / 2:
            self._listen()

    def _listen(self) -> None:
        """Hear the trials that are in a long evaluation: until it is over they give no result.

        They write of it where this process can read it, unless that is on another machine.
        """
        self._listened = time.monotonic()
        for trial in self._view.progress.running():
            key, now = trial.expected.key, self._view.now()
            if trial.last is None or now - trial.last["time"] < QUIET_SECONDS:
                continue
            word = read_progress(self._layout.progress(key))
            if word is None or word.get("phase") != "evaluating":
                continue
            if self._heard.get(key) != word["time"]:
                self._heard[key] = word["time"]
                self._view.update(key, {**word, "time": now})

    def write_waiting(self) -> None:
        """Write the records that could not be written before.

        Raises:
            OSError: they still cannot.
        """
        while self._waiting:
            record = self._waiting[0]
            write_record(self._layout, record)
            self._layout.publish(self._layout.record(record.key), wait=False)
            del self._waiting[0]

    def _try_to_write(self) -> None:
        # Storage that is away for a while, or full, must not end the other trials.
        with suppress(OSError):
            self.write_waiting()
        self._tried = time.monotonic()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """See ``tune.Callback``."""
        self._view.start(trial.config["cell"]["key"])

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """See ``tune.Callback``."""
        key = trial.config["cell"]["key"]
        self._view.note(key, result.get("note", ""))
        # The loss of a diverged trial's last step is no number.
        if result.get("loss") is not None:
            # Read off the clock of the view: that of the trial's machine may be another, or jump.
            self._view.update(key, {**result, "time": self._view.now()})
        if "status" in result:
            self._view.finish(key, TrialStatus(result["status"]), result["error"])
        # ``retries`` counts deaths in a row: a checkpoint since the last one shows progress.
        died = trial.run_metadata.num_failures > 0
        if died and self._newest(key) not in (None, self._at_death.get(key)):
            trial.run_metadata.num_failures = 0

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The trial's process died and will be started again.

        One that took too much memory is told so, and cuts its batches into smaller parts.
        """
        key = trial.config["cell"]["key"]
        if killed_for_memory(trial):
            with suppress(OSError):
                kills, path = read_kills(self._layout, key) + 1, self._layout.memory_kills(key)
                write_text(path, f"{min(kills, 99)}\n")
                self._layout.publish(path, wait=False)
        self._at_death[key] = self._newest(key)
        self._view.restart(key, why(trial))

    def _newest(self, key: str) -> str | None:
        """Name of a trial's newest checkpoint; none: it has none."""
        here = (path.name for path in checkpoints(self._layout.checkpoints(key)))
        with suppress(OSError):
            return self._layout.newest_checkpoint(key) or next(here, None)
        return None

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The trial's process died more often than ``retries`` allows."""
        if self.stop.asked:
            return
        key = trial.config["cell"]["key"]
        reason = why(trial)
        self._waiting.append(failed(self._trials[key], reason))
        self._try_to_write()
        self._view.finish(key, TrialStatus.FAILED, reason)
