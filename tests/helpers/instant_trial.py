"""A trial that trains nothing: its scores follow from its key, and it resumes where it was killed.

It imports neither torch nor transformers, so that its process starts quickly.
"""

import json
import time
from random import Random
from typing import Any

from ray import tune

from tests.helpers.records import Trial, record, right
from trainables.atomic import write_text
from trainables.config.trial import TrialConfig
from trainables.results.record import write_record
from trainables.results.status import TrialStatus
from trainables.storage.run_dir import RunDir

STEPS = 6
STEP_SECONDS = 0.02


class InstantTrial(tune.Trainable):
    """Takes the place of ``TrialTrainable``; ``config["trial_spec"]`` is the same."""

    def setup(self, config: dict[str, Any]) -> None:
        """Called once per actor."""
        spec = config["trial_spec"]
        self._config = TrialConfig.model_validate(spec["trial"])
        self._run_dir = RunDir(spec["runtime"]["output_dir"])
        self._path = self._run_dir.root / "steps" / f"{self._config.key}.json"
        self._path.parent.mkdir(exist_ok=True)
        self._steps = json.loads(self._path.read_text()) if self._path.exists() else 0

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Called in place of ``setup`` when the actor takes another trial."""
        self.setup(new_config)
        return True

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """What Tune reserves for a trial."""
        return tune.PlacementGroupFactory([config["trial_spec"]["resources"]])

    def step(self) -> dict[str, Any]:
        """Report every rung that is reached; the last step writes the record."""
        time.sleep(STEP_SECONDS)
        self._steps = min(STEPS, self._steps + 1)
        write_text(self._path, str(self._steps))
        key = self._config.key
        assert self._config.search is not None
        rungs = self._config.search.rungs
        examples = 2 * max(rungs) * self._steps / STEPS
        result = {
            "rungs": [[r, Random(f"{key} {r}").random(), 0.5] for r in rungs if r <= examples],
            "step": self._steps,
            "total_steps": STEPS,
            "examples_per_second": 100.0,
            "loss": None,
        }
        if self._steps < STEPS:
            return {**result, "done": False}
        correct = Random(key).randint(0, 10)
        results = {task: {"confusion": right(correct, 10)} for task in self._config.tasks}
        write_record(
            self._run_dir, record(Trial(key, self._config), results={"selection": results})
        )
        return {**result, "done": True, "status": TrialStatus.FINISHED, "error": ""}
