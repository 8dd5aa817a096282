"""A trial that trains nothing: it waits, reports progress and writes a record as a real one does.

It imports neither torch nor transformers, so that many of its processes fit on one machine.
"""

import json
import math
import os
import time
from pathlib import Path
from random import Random
from typing import Any

from ray import tune

from trainables.config.trial import TrialConfig
from trainables.results.record import TrialRecord, write_record
from trainables.results.status import TrialStatus
from trainables.seeding import derive_seed
from trainables.storage.run_dir import RunDir
from trainables.trial.progress import write_progress

SLICE_SECONDS = 1.0
"""As in ``trainables/tune/trainable.py``."""

MEDIAN = "STUB_MEDIAN_SECONDS"
"""Environment variable for the median of a trial's seconds."""

SPREAD = 0.5
"""Standard deviation of the logarithm of a trial's seconds."""


class StubTrial(tune.Trainable):
    """Takes the place of ``TrialTrainable``; ``config["trial_spec"]`` is the same.

    Its duration is drawn from a lognormal distribution, seeded by its key.
    """

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """What Tune reserves for a trial."""
        return tune.PlacementGroupFactory([config["trial_spec"]["resources"]])

    def setup(self, config: dict[str, Any]) -> None:
        """Called once per actor."""
        self._began = time.time()
        spec = config["trial_spec"]
        self._trial = TrialConfig.model_validate(spec["trial"])
        self._run_dir = RunDir(spec["runtime"]["output_dir"])
        self._key = spec["key"]
        self._seconds = duration(self._key, float(os.environ[MEDIAN]))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Called in place of ``setup`` when the actor takes another trial."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Wait for a slice; the last one writes the record."""
        remaining = self._began + self._seconds - time.time()
        time.sleep(max(0.0, min(SLICE_SECONDS, remaining)))
        share = min(1.0, (time.time() - self._began) / self._seconds)
        progress = self._progress(share)
        if share < 1.0:
            write_progress(self._run_dir.progress(self._key), progress)
            return {**progress, "done": False}
        write_record(self._run_dir, self._record())
        self._log()
        return {**progress, "done": True, "status": TrialStatus.FINISHED, "error": ""}

    def _progress(self, share: float) -> dict[str, Any]:
        epochs = self._trial.training.epochs
        examples = round(share * 1000)
        return {
            "epoch": share * epochs,
            "epochs": epochs,
            "step": examples,
            "total_steps": 1000,
            "examples": examples,
            "loss": 1.0 - share / 2,
            "headline": share if share > 1 / epochs else None,
            "headline_name": "macro",
            "examples_per_second": 1000 / self._seconds,
            "time": time.time(),
            "note": "",
            "rungs": [],
            "phase": "training",
        }

    def _record(self) -> TrialRecord:
        result = {task: {"confusion": [[8, 2], [2, 8]]} for task in self._trial.tasks}
        return TrialRecord.model_validate(
            {
                "key": self._key,
                "title": self._trial.title,
                "status": TrialStatus.FINISHED,
                "config": self._trial.model_dump(),
                "labels": dict.fromkeys(self._trial.tasks, ("no", "yes")),
                "results": {"validation": result},
                "examples": 1000,
                "train_seconds": self._seconds,
            }
        )

    def _log(self) -> None:
        line = {"slot": os.getpid(), "key": self._key, "began": self._began, "ended": time.time()}
        with slots_file(self._run_dir.root).open("a", encoding="utf-8") as file:
            # One write of a short line, which is atomic for a file opened for appending.
            file.write(json.dumps(line) + "\n")


def slots_file(root: Path) -> Path:
    """Which process ran which trial from when to when, a line each (JSON, Unix seconds)."""
    return root / "slots.jsonl"


def duration(key: str, median: float) -> float:
    """Seconds of a trial, the same in every run."""
    return Random(derive_seed(0, "stub", key)).lognormvariate(math.log(median), SPREAD)
