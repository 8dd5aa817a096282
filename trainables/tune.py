"""The thin layer between Ray Tune and a trial: the only part of ``trainables`` that knows Ray."""

import time
from typing import Any

from ray import tune

from trainables.config import Runtime, TrialConfig
from trainables.trial import Trial

SLICE_SECONDS = 1.0
"""How long a trial trains between two results that it gives to Tune."""


class TrialTrainable(tune.Trainable):
    """Any trial of any strategy, in slices of about a second.

    ``config`` is ``{"cell": {"trial": ..., "runtime": ...}}``, the ``TrialConfig`` and the
    ``Runtime`` as dictionaries.
    Whatever goes wrong inside a trial becomes its record, and the actor lives on for the next
    trial: starting a process with torch and transformers costs as much as a small trial. What
    kills the process is left to Tune, which starts the trial again; it then goes on from its own
    newest checkpoint.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Called once per actor; the work starts with the first ``step``."""
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Called in place of ``setup`` when the actor takes another trial."""
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        cell = config["cell"]
        self._trial = Trial(
            TrialConfig.model_validate(cell["trial"]), Runtime.model_validate(cell["runtime"])
        )
        self._events = self._trial.run()

    def step(self) -> dict[str, Any]:
        """Train for a slice; ``status`` is in the result when the trial has ended."""
        deadline = time.monotonic() + SLICE_SECONDS
        try:
            for progress in self._events:
                if time.monotonic() >= deadline:
                    return {**progress, "done": False}
        except Exception as error:
            record = self._trial.failed(error)
            ending = {"done": True, "status": record.status, "error": record.error}
            return {**self._trial.progress(), **ending}
        return {**self._trial.progress(), "done": True, "status": "finished", "error": ""}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._trial.config.title})"
