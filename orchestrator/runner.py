"""Schedules a plan's unfinished trials with Ray Tune.

The records in the run directory say what is finished; Tune is asked only for the rest, so a
continued run is the plan minus its finished records, whatever ended the one before.
"""

import logging
import os
import pickle
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# Ray reads some of these when it is imported.
# What goes wrong is told by records and by the live view; Ray would print a screenful of it.
os.environ["RAY_DEDUP_LOGS_SKIP_REGEX"] = "."
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
os.environ["RAY_NUM_REDIS_GET_RETRIES"] = "1"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Each trial writes its own record and progress; Tune's loggers would write them again.
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
# Ctrl-C is ours: Tune's own handler makes ``fit`` return as if all were done.
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"

import ray
import ray.exceptions
from ray import tune
from ray._private import utils as ray_utils

import orchestrator
import search_spaces
import trainables
from orchestrator.config import ExperimentConfig
from orchestrator.live import LiveView
from orchestrator.plan import PlannedTrial
from orchestrator.progress import TrialState
from orchestrator.resources import Node, TrialResources, this_machine
from orchestrator.signals import Stop, interrupt, signals
from trainables.config import Runtime
from trainables.errors import ResourceError
from trainables.record import RunLayout, TrialRecord, write_record
from trainables.tune import TrialTrainable


@contextmanager
def connected(experiment: ExperimentConfig) -> Iterator[list[Node]]:
    """Ray, started on this machine or joined at ``ray.address``; gives the nodes with CPUs.

    Raises:
        ResourceError: the cluster cannot be reached, or has no such node.
    """
    address = experiment.ray.address
    # What goes wrong is told by the trials' records and the live view.
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address is None:
        node = this_machine()
        # Without "local", RAY_ADDRESS or a Ray that runs here already would be joined.
        options |= {"address": "local", "num_cpus": node.cpus, "num_gpus": node.gpus}
        options |= {"include_dashboard": False}
    elif "://" in address:
        raise ResourceError(
            f"ray.address={address}: Ray Client cannot run a grid; give HOST:PORT of the head "
            "node (6379), or submit the command with ray job submit and ray.address=auto"
        )
    else:
        _answers(address)
        options |= {"address": address, "runtime_env": runtime_environment()}
    stop = Stop()
    with signals(interrupt):
        try:
            try:
                # Left half-way, a start on this machine would leave processes behind.
                with signals(stop if address is None else interrupt), _own_sigterm():
                    ray.init(**options)
                stop.check()
            except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
                reason = " ".join(str(error).split())
                if address is None:
                    raise ResourceError(f"Ray cannot be started: {reason}") from error
                raise ResourceError(
                    f"ray.address={address}: cannot be joined: {reason} (a cluster that asks for "
                    "a token needs RAY_AUTH_MODE=token and its token here)"
                ) from error
            nodes = [
                Node(int(node["Resources"]["CPU"]), int(node["Resources"].get("GPU", 0)))
                for node in ray.nodes()
                if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
            ]
            if not nodes:
                raise ResourceError(f"ray.address={address}: the cluster has no node with CPUs")
            yield nodes
        finally:
            with signals(signal.SIG_IGN):
                ray.shutdown()


def _answers(address: str) -> None:
    """Find out within seconds that nothing listens; Ray itself tries for several minutes.

    Raises:
        ResourceError: nothing listens at ``HOST:PORT``.
    """
    host, colon, port = address.rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, ValueError, OverflowError) as error:
        raise ResourceError(
            f"ray.address={address}: cannot be reached ({error}); give HOST:PORT of the head node"
        ) from error


def runtime_environment() -> dict[str, Any]:
    """The project's code and the settings of this shell that trials on other machines need."""
    settings = ("HF_HUB_OFFLINE", "ONE_OR_MANY_CACHE", "WANDB_MODE", "RAY_CHDIR_TO_TRIAL_DIR")
    return {
        "py_modules": [orchestrator, search_spaces, trainables],
        "env_vars": {name: os.environ[name] for name in settings if name in os.environ},
    }


def run_trials(
    trials: list[PlannedTrial],
    experiment: ExperimentConfig,
    layout: RunLayout,
    resources: TrialResources,
    glue_dir: str | None,
    view: LiveView,
) -> None:
    """Run ``trials``, started in this order; needs a connected Ray.

    Every trial leaves a record, also one that failed. Ctrl-C and SIGTERM raise
    ``KeyboardInterrupt`` with the finished records kept.
    """
    shutil.rmtree(layout.ray, ignore_errors=True)
    runtime = runtime_of(experiment, layout, resources, glue_dir).model_dump(mode="json")
    bundle = {"CPU": float(resources.cpu)} | ({"GPU": resources.gpu} if resources.gpu else {})
    cells = [
        {
            "key": trial.key,
            "trial": trial.config.model_dump(mode="json"),
            "runtime": runtime,
            "resources": bundle,
        }
        for trial in trials
    ]
    stop = Stop()
    follow = Follow(view, {trial.key: trial for trial in trials}, layout, stop)
    tuner = tune.Tuner(
        TrialTrainable,
        param_space={"cell": tune.grid_search(cells)},
        tune_config=tune.TuneConfig(
            reuse_actors=True,
            max_concurrent_trials=resources.slots,
            trial_name_creator=lambda trial: trial.config["cell"]["key"],
            trial_dirname_creator=lambda trial: trial.config["cell"]["key"],
        ),
        run_config=tune.RunConfig(
            name="trials",
            storage_path=str(layout.ray.resolve()),
            verbose=0,
            callbacks=[follow],
            failure_config=tune.FailureConfig(max_failures=experiment.retries),
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_frequency=0, checkpoint_at_end=False
            ),
        ),
    )
    try:
        with signals(stop), view:
            tuner.fit()
    except tune.TuneError as error:
        # Tune wraps what a callback raises, for example when the disk is full.
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise
    finally:
        # The records are all that a continued run needs.
        shutil.rmtree(layout.ray, ignore_errors=True)


def runtime_of(
    experiment: ExperimentConfig, layout: RunLayout, resources: TrialResources, glue: str | None
) -> Runtime:
    """Where the grid's trials run."""
    cache = experiment.data.cache_dir
    return Runtime(
        output_dir=str(layout.root.resolve()),
        device="cuda" if resources.gpu else "cpu",
        threads=resources.cpu,
        glue_dir=glue,
        cache_dir=str(Path(cache).expanduser().resolve()) if cache else None,
        tracking=experiment.tracking,
        wandb=experiment.wandb,
        save_model=experiment.save_models,
        checkpoint_every=experiment.checkpoint.every,
    )


class Follow(tune.Callback):
    """Tells the live view what Tune's trials do, and records those whose process died."""

    def __init__(
        self, view: LiveView, trials: dict[str, PlannedTrial], layout: RunLayout, stop: Stop
    ) -> None:
        self._view = view
        self._trials = trials
        self._layout = layout
        self._stop = stop

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """See ``tune.Callback``; Tune comes here several times a second."""
        self._stop.check()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """See ``tune.Callback``."""
        self._view.start(trial.config["cell"]["key"])

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """See ``tune.Callback``."""
        key = trial.config["cell"]["key"]
        # The loss of a diverged trial's last step is no number.
        if result.get("loss") is not None:
            self._view.update(key, result)
        if "status" in result:
            self._view.finish(key, TrialState(result["status"]), result["error"])

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The trial's process died and will be started again."""
        self._view.restart(trial.config["cell"]["key"], why(trial))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The trial's process died more often than ``retries`` allows."""
        if self._stop.asked:
            return
        key = trial.config["cell"]["key"]
        config = self._trials[key].config
        reason = why(trial)
        write_record(
            self._layout,
            TrialRecord(
                key=key,
                title=config.title,
                status="failed",
                error=reason,
                config=config,
                finished=datetime.now(UTC).isoformat(timespec="seconds"),
            ),
        )
        self._view.finish(key, TrialState.FAILED, reason)


def why(trial: Any) -> str:
    """One line about why Tune gave a trial up."""
    # Not ``trial.get_pickled_error``, which looks where Tune copies the error to, seconds later.
    try:
        error = pickle.loads(Path(trial.pickled_error_file).read_bytes())
    except Exception:
        return "its process died"
    cause = getattr(error, "cause", error)
    reason = " ".join(str(cause).split())
    if not isinstance(error, ray.exceptions.RayActorError):
        return f"{type(cause).__name__}: {reason}"[:500]
    # Ray says a page about it; what differs stands after this and before general advice.
    detail = reason.rpartition("exit detail: ")[2].partition(" Some common causes")[0]
    return f"its process was killed or crashed: {detail}"[:300]


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep Ray from handling SIGTERM, which it does by exiting and leaving its agents behind."""
    taken = ray_utils.set_sigterm_handler
    ray_utils.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        ray_utils.set_sigterm_handler = taken
