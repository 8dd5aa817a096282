"""A grid that nothing disturbs and that no Ray runs, and what any other run must equal."""

import json
import time
from typing import Any

import pandas as pd

from orchestrator.commands.report import report
from orchestrator.config.experiment import load_experiment
from orchestrator.planning.plan import PlannedTrial, make_plan
from orchestrator.planning.resources import TrialResources
from orchestrator.run_dir.directory import take, write_metadata
from tests.helpers.ray_grid import Grid, measured_all
from trainables.config.trial import Runtime
from trainables.results.record import read_records
from trainables.storage.run_dir import RunDir
from trainables.trial.trial import Trial, run_trial


class ReferenceRun:
    """All trials of ``grid``, run one after the other in this process."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.trials = begin(grid)
        runtime = runtime_of(grid)
        began = time.monotonic()
        for trial in self.trials:
            run_trial(trial.config, runtime)
        self.seconds = time.monotonic() - began
        report(grid.run_dir.root)
        self.records = measured_all(read_records(grid.run_dir))

    def assert_same(self, run_dir: RunDir) -> None:
        """Table, records and predictions are ours bit for bit; times may differ."""
        self.assert_same_trials(run_dir)
        assert _table(run_dir) == _table(self.grid.run_dir)

    def assert_same_trials(self, run_dir: RunDir) -> None:
        """Records and predictions are ours bit for bit, in whatever order they were made."""
        assert measured_all(read_records(run_dir)) == self.records
        for key in self.records:
            theirs, ours = (
                pd.read_parquet(w.predictions(key)) for w in (run_dir, self.grid.run_dir)
            )
            pd.testing.assert_frame_equal(theirs, ours, check_exact=True)


def begin(grid: Grid) -> list[PlannedTrial]:
    """Make the run directory as the command line would, without a trial; gives the trials."""
    experiment = load_experiment("demo", grid.overrides())
    plan = make_plan(experiment)
    take(grid.run_dir, experiment, plan)
    write_metadata(grid.run_dir, experiment, plan, TrialResources(1, 0.0, 2))
    return list(plan.trials)


def stop_midway(grid: Grid, trial: PlannedTrial, steps: int = 12) -> None:
    """Train a trial's first steps with a checkpoint after each, then leave it as a crash would."""
    running = Trial(trial.config, runtime_of(grid, checkpoint_every=1e-6))
    for progress in running.run():
        if progress["step"] >= steps:
            return


def runtime_of(grid: Grid, **settings: Any) -> Runtime:
    """One thread and no checkpoints, unless told."""
    return Runtime.model_validate(
        {
            "output_dir": str(grid.run_dir.root),
            "cache_dir": str(grid.folder / "cache"),
            "device": "cpu",
            "threads": 1,
            "checkpoint_every": 0.0,
        }
        | settings
    )


def _table(run_dir: RunDir) -> dict[str, Any]:
    """The comparison table as values, training times left out."""
    table = json.loads(run_dir.table("json").read_text(encoding="utf-8"))
    for row in table["rows"]:
        for timed in ("train_seconds", "device_seconds"):
            row["cells"].pop(timed, None)
    return table
