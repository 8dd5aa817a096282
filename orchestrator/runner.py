"""Schedules a plan's unfinished trials with Ray Tune.

The records in the run directory say what is finished; Tune is asked only for the rest, so a
continued run is the plan minus its finished records, whatever ended the one before.
"""

import logging
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import ray
from ray import tune

import orchestrator
import search_spaces
import trainables
from orchestrator.config import ExperimentConfig
from orchestrator.live import LiveView
from orchestrator.plan import PlannedTrial
from orchestrator.progress import TrialState
from orchestrator.resources import Node, TrialResources, share_out, this_machine
from trainables.config import Runtime
from trainables.errors import ResourceError
from trainables.record import RunLayout, TrialRecord, write_record
from trainables.tune import TrialTrainable


@contextmanager
def connected(experiment: ExperimentConfig) -> Iterator[list[Node]]:
    """Ray, started on this machine or joined at ``ray.address``; gives the cluster's nodes.

    Raises:
        ResourceError: the cluster cannot be reached.
    """
    # Each trial writes its own record and progress; Tune's loggers would write them again.
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ctrl-C is ours: Tune's own handler makes ``fit`` return as if all were done.
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
    address = experiment.ray.address
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        node = this_machine()
        options |= {"num_cpus": node.cpus, "num_gpus": node.gpus, "include_dashboard": False}
    else:
        modules = [orchestrator, search_spaces, trainables]
        options |= {"address": address, "runtime_env": {"py_modules": modules}}
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        reason = " ".join(str(error).split())
        key = f"ray.address={address}" if address else "Ray"
        raise ResourceError(f"{key}: cannot be started or reached: {reason}") from error
    try:
        yield [
            Node(int(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0)))
            for node in ray.nodes()
            if node["Alive"]
        ]
    finally:
        ray.shutdown()


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
    configs = [
        {
            "key": trial.key,
            "trial": trial.config.model_dump(mode="json"),
            "runtime": runtime,
        }
        for trial in trials
    ]
    bundle = {"CPU": float(resources.cpu)} | ({"GPU": resources.gpu} if resources.gpu else {})
    tuner = tune.Tuner(
        tune.with_resources(TrialTrainable, tune.PlacementGroupFactory([bundle])),
        param_space={"cell": tune.grid_search(configs)},
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
            callbacks=[Follow(view, {trial.key: trial for trial in trials}, layout)],
            failure_config=tune.FailureConfig(max_failures=experiment.retries),
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_frequency=0, checkpoint_at_end=False
            ),
        ),
    )
    with interruptible(), view:
        tuner.fit()


def runtime_of(
    experiment: ExperimentConfig, layout: RunLayout, resources: TrialResources, glue: str | None
) -> Runtime:
    """Where the grid's trials run."""
    return Runtime(
        output_dir=str(layout.root.resolve()),
        device="cuda" if resources.gpu else "cpu",
        threads=resources.cpu,
        glue_dir=glue,
        cache_dir=experiment.data.cache_dir,
        tracking=experiment.tracking,
        wandb=experiment.wandb,
        save_model=experiment.save_models,
        checkpoint_every=experiment.checkpoint.every,
    )


class Follow(tune.Callback):
    """Tells the live view what Tune's trials do, and records those whose process died."""

    def __init__(self, view: LiveView, trials: dict[str, PlannedTrial], layout: RunLayout) -> None:
        self._view = view
        self._trials = trials
        self._layout = layout

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """See ``tune.Callback``."""
        self._view.start(trial.config["cell"]["key"])

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """See ``tune.Callback``."""
        key = trial.config["cell"]["key"]
        if "step" in result:
            self._view.update(key, result)
        if "status" in result:
            self._view.finish(key, TrialState(result["status"]), result["error"])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The trial's process died more often than ``retries`` allows."""
        key = trial.config["cell"]["key"]
        config = self._trials[key].config
        reason = " ".join(str(trial.get_pickled_error() or "its process died").split())
        write_record(
            self._layout,
            TrialRecord(
                key=key,
                title=config.title,
                status="failed",
                error=reason[:500],
                config=config,
                finished=datetime.now(UTC).isoformat(timespec="seconds"),
            ),
        )
        self._view.finish(key, TrialState.FAILED, reason[:500])


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM ends the run like Ctrl-C."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def feasible(experiment: ExperimentConfig, nodes: list[Node], trials: int) -> TrialResources:
    """What each trial gets (see ``share_out``), checked against the precision too.

    Raises:
        ResourceError: the nodes cannot give it.
    """
    resources = share_out(experiment.resources, nodes, trials)
    if experiment.training.precision == "fp16" and not resources.gpu:
        raise ResourceError(
            "training.precision=fp16: needs GPUs and the trials get none; use auto, fp32 or bf16"
        )
    return resources
