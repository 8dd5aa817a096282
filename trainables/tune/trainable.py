"""The Ray Tune Trainables: run a trial in slices in a Tune actor."""

from typing import Any

from ray import tune

from trainables.config.trial import Runtime, TrialConfig
from trainables.trial.slices import SLICE_SECONDS, TrialSlices
from trainables.tune.prometheus import TrialMetrics


class TrialTrainable(tune.Trainable):
    """Any trial of any strategy, in slices of about a second.

    ``config`` is ``{"trial_spec": {"trial": ..., "runtime": ..., "resources": ...}}``: the
    ``TrialConfig`` and the ``Runtime`` as dictionaries, and the trial's resources in Ray's format
    (``{"CPU": 1, "GPU": 0.5}``).

    An error inside a trial becomes its record, and the actor takes the next trial: starting a
    process with torch and transformers costs as much as a small trial. If the process dies or its
    GPU becomes unusable, Tune starts the trial again in another process, where it resumes from its
    newest checkpoint.

    Attributes:
        slice_seconds: how long a trial trains between two results.
    """

    slice_seconds = SLICE_SECONDS

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """The resources that Tune reserves for a trial."""
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
        # Ray asks once per process, and this one runs trials of any kind, one after another.
        return type(self).__name__


class _NamedTrial(TrialTrainable):
    """A trial in a process of its own, named after the trial.

    The subclasses differ only in their names, because Ray's dashboard shows an actor's class.
    """

    def __repr__(self) -> str:
        return self._name

    def _begin(self, config: dict[str, Any]) -> None:
        super()._begin(config)
        self._name = "{arm} {model} {task} seed {seed} ({trial})".format(**self._metrics.tags)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Never reused for another trial, because Ray cannot rename an actor."""
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
"""Strategy -> Trainable for trials that each have a process of their own."""


def trainable_of(strategy: str, *, reuse: bool) -> str:
    """Name of the Trainable for a trial; with ``reuse`` its process runs other trials too."""
    return (TrialTrainable if reuse else NAMED[strategy]).__name__


def register() -> None:
    """Register the Trainables with Tune by name; requires a connection to Ray."""
    for trainable in (TrialTrainable, *NAMED.values()):
        tune.register_trainable(trainable.__name__, trainable)
