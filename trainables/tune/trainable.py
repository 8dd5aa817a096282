"""The thin layer between Ray Tune and a trial: the only part of ``trainables`` that knows Ray."""

import time
from collections.abc import Iterator
from typing import Any

import torch
from ray import tune

from trainables.config.trial import Runtime, TrialConfig
from trainables.training.memory import is_out_of_memory, release_memory
from trainables.trial.progress import Progress
from trainables.trial.trial import Trial
from trainables.tune.prometheus import TrialMetrics

SLICE_SECONDS = 1.0
"""How long a trial trains between two results that it gives to Tune."""


class TrialTrainable(tune.Trainable):
    """Any trial of any strategy, in slices of about a second.

    ``config`` is ``{"cell": {"trial": ..., "runtime": ..., "resources": ...}}``: the
    ``TrialConfig`` and the ``Runtime`` as dictionaries, and what the trial gets, in Ray's words
    (``{"CPU": 1, "GPU": 0.5}``).

    Whatever goes wrong inside a trial becomes its record, and the actor lives on for the next
    trial: starting a process with torch and transformers costs as much as a small trial. What
    kills the process, or makes its GPU unusable, is left to Tune, which starts the trial again in
    another process; it then goes on from its own newest checkpoint.
    """

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """What Tune reserves for a trial."""
        return tune.PlacementGroupFactory([config["cell"]["resources"]])

    def setup(self, config: dict[str, Any]) -> None:
        """Called once per actor; the work starts with the first ``step``."""
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Called in place of ``setup`` when the actor takes another trial."""
        self.cleanup()
        self._begin(new_config)
        return True

    def cleanup(self) -> None:
        """Called before the actor ends; a trial that has not ended was stopped by a scheduler."""
        if self._trial is not None:
            self._trial.stop()
            self._release()

    def _begin(self, config: dict[str, Any]) -> None:
        cell = config["cell"]
        self._trial: Trial | None = Trial(
            TrialConfig.model_validate(cell["trial"]), Runtime.model_validate(cell["runtime"])
        )
        self._events: Iterator[Progress] = self._trial.run()
        self._metrics = TrialMetrics(self._trial.config)

    def step(self) -> dict[str, Any]:
        """Train for a slice; ``status`` is in the result when the trial has ended.

        Raises:
            torch.AcceleratorError: nothing can be computed on the GPU in this process any more.
        """
        result = self._slice()
        self._metrics.show(result)
        return result

    def _slice(self) -> dict[str, Any]:
        trial = self._trial
        assert trial is not None, "a trial that has ended is not stepped again"
        deadline = time.monotonic() + SLICE_SECONDS
        measured = None if trial.loop is None else len(trial.loop.state.rungs)
        failing = False
        while trial.record is None:
            try:
                for progress in self._events:
                    if measured is None:
                        # A trial that goes on from a checkpoint says again what it said last.
                        measured = 0
                    # Whoever stops trials early is told of every measurement at once.
                    if time.monotonic() >= deadline or len(progress["rungs"]) > measured:
                        return {**progress, "done": False}
            except Exception as error:
                if failing or (
                    isinstance(error, torch.AcceleratorError) and not is_out_of_memory(error)
                ):
                    raise
                failing = True
                self._events = trial.failing(error)
        ending = {"done": True, "status": trial.record.status, "error": trial.record.error or ""}
        result = ending if trial.loop is None else {**trial.progress(), **ending}
        del trial
        self._release()
        return result

    def _release(self) -> None:
        """Give back the memory of the trial that ended before another one takes its own."""
        self._trial = None
        self._events = iter(())
        release_memory()

    def __repr__(self) -> str:
        # Ray asks once per process. This one takes trials of any kind, one after another.
        return type(self).__name__


class _NamedTrial(TrialTrainable):
    """A process for one trial alone, which is called by that trial's name.

    What follows differs in nothing but the name: Ray's dashboard shows an actor's class.
    """

    def __repr__(self) -> str:
        return self._name

    def _begin(self, config: dict[str, Any]) -> None:
        super()._begin(config)
        self._name = "{arm} {model} {task} seed {seed} ({trial})".format(**self._metrics.tags)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Never another trial: Ray cannot rename an actor."""
        raise RuntimeError(f"{self!r}: this process is for one trial alone")


class SingleTaskTrial(_NamedTrial):
    """A trial of ``single_task``."""


class NaiveConcatTrial(_NamedTrial):
    """A trial of ``naive_concat``."""


class SharedEncoderTrial(_NamedTrial):
    """A trial of ``shared_encoder``."""


NAMED: dict[str, type[TrialTrainable]] = {
    "single_task": SingleTaskTrial,
    "naive_concat": NaiveConcatTrial,
    "shared_encoder": SharedEncoderTrial,
}
"""Strategy -> the class of its trials where each has a process of its own."""


def trainable_of(strategy: str, *, reuse: bool) -> str:
    """Name of the class that runs a trial; ``reuse``: its process runs others before and after."""
    return (TrialTrainable if reuse else NAMED[strategy]).__name__


def register() -> None:
    """Make the classes known to Tune by their names; needs a connected Ray."""
    for trainable in (TrialTrainable, *NAMED.values()):
        tune.register_trainable(trainable.__name__, trainable)
