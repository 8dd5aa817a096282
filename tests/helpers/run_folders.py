"""Run directories that are made by hand: nothing is trained."""

import json
import os
import time
from pathlib import Path
from typing import Any

from orchestrator.planning.plan import PlannedTrial
from orchestrator.planning.resources import TrialResources
from orchestrator.run_dir.directory import take, write_metadata
from orchestrator.run_dir.lock import LOCK
from tests.helpers.command import small_grid
from tests.helpers.plans import plan_of
from tests.helpers.records import Trial, record, trial
from trainables.results.record import write_record
from trainables.storage.run_dir import RunDir
from trainables.trial.progress import write_progress

EXAMPLES = 1000


def word(examples: int = 400, **changes: Any) -> dict[str, Any]:
    """What a running trial says."""
    return {
        "epoch": 3 * examples / EXAMPLES, "epochs": 3, "step": 4, "total_steps": 10,
        "examples": examples, "loss": 0.5, "headline": 0.75, "headline_name": "macro",
        "examples_per_second": 40.0, "time": 1.0, "note": "", "rungs": [], "phase": "training",
    } | changes  # fmt: skip


def finished_grid(root: Path, encoder: Path, *more: str) -> RunDir:
    """A run directory of the small grid in which every trial has finished."""
    preset, *overrides = small_grid(encoder, *more)
    experiment, plan, resources = plan_of(preset, overrides)
    run_dir = RunDir(root)
    take(run_dir, experiment, plan)
    write_metadata(run_dir, experiment, plan, resources)
    for planned in plan.trials:
        write_record(run_dir, record(Trial(planned.key, planned.config)))
    return run_dir


class RunFolder:
    """A run directory with ``n`` trials that differ in their seeds, and whoever runs it."""

    def __init__(self, root: Path, n: int = 4) -> None:
        self.run_dir = RunDir(root)
        self.trials: list[Trial] = [trial(seed=seed) for seed in range(1, n + 1)]
        root.mkdir()
        self.run_dir.config.write_text("name: mine\n")
        self.plan()

    def plan(self) -> None:
        described = [
            PlannedTrial(one.config, EXAMPLES, 1.0).describe(TrialResources(1, 0.0, 2))
            | {"config": one.config.model_dump(mode="json")}
            for one in self.trials
        ]
        content = {"schema_version": 1, "trials": described}
        self.run_dir.plan.write_text(json.dumps(content))

    def says(self, index: int, age: float = 0.0, **changes: Any) -> Path:
        """A trial speaks, ``age`` seconds ago."""
        path = self.run_dir.progress(self.trials[index].key)
        write_progress(path, word(**changes))
        aged(path, age)
        return path

    def ends(self, index: int, status: str = "finished", **changes: Any) -> Path:
        """A trial leaves its record."""
        one = self.trials[index]
        error = None if status == "finished" else "out of memory"
        write_record(self.run_dir, record(one, status=status, error=error, **changes))
        return self.run_dir.record(one.key)

    def held_elsewhere(
        self, age: float = 0.0, command: str = "python -m orchestrator run x"
    ) -> None:
        """A process on another computer holds the lock and renewed it ``age`` seconds ago."""
        holder = {
            "token": "t", "host": "elsewhere", "computer": "c", "boot": "another boot",
            "namespace": "", "pid": 4242, "started": 1, "since": "2026-01-01T00:00:00+00:00",
            "command": command,
        }  # fmt: skip
        path = self.run_dir.root / LOCK
        path.write_text(json.dumps(holder))
        aged(path, age)

    def let_go(self) -> None:
        (self.run_dir.root / LOCK).unlink()


def aged(path: Path, seconds: float) -> None:
    """Let a file have been written so many seconds ago."""
    then = time.time() - seconds
    os.utime(path, (then, then))
