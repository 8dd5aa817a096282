"""The thin layer between Ray Tune and a trial: the only part of ``trainables`` that knows Ray."""

from typing import Any

from ray import tune

from trainables.config.trial import Runtime, TrialConfig
from trainables.trial.slices import SLICE_SECONDS, TrialSlices
from trainables.tune.prometheus import TrialMetrics


class TrialTrainable(tune.Trainable):
    """Any trial of any strategy, in slices of about a second.

    ``config`` is ``{"trial_spec": {"trial": ..., "runtime": ..., "resources": ...}}``: the
    ``TrialConfig`` and the ``Runtime`` as dictionaries, and what the trial gets, in Ray's words
    (``{"CPU": 1, "GPU": 0.5}``).

    Whatever goes wrong inside a trial becomes its record, and the actor lives on for the next
    trial: starting a process with torch and transformers costs as much as a small trial. What
    kills the process, or makes its GPU unusable, is left to Tune, which starts the trial again in
    another process; it then goes on from its own newest checkpoint.

    Attributes:
        slice_seconds: how long a trial trains between two results.
    """

    slice_seconds = SLICE_SECONDS

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """What Tune reserves for a trial."""
        return tune.PlacementGroupFactory([config["trial_spec"]["resources"]])

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
        self._slices.stop()

    def _begin(self, config: dict[str, Any]) -> None:
        spec = config["trial_spec"]
        trial = TrialConfig.model_validate(spec["trial"])
        runtime = Runtime.model_validate(spec["runtime"])
        self._slices = TrialSlices(trial, runtime, self.slice_seconds)
        self._metrics = TrialMetrics(trial)

    def step(self) -> dict[str, Any]:
        """Train for a slice; ``status`` is in the result when the trial has ended.

        Raises:
            torch.AcceleratorError: nothing can be computed on the GPU in this process any more.
        """
        result = self._slices.step()
        self._metrics.show(result)
        return result

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
