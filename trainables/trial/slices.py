"""Runs a trial in slices of about a second, for Ray Tune and the local executor."""

import time
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import Any

import torch

from trainables.config.trial import Runtime, TrialConfig
from trainables.garbage import freeze
from trainables.training.memory import is_out_of_memory, release_memory
from trainables.trial.progress import Progress
from trainables.trial.trial import Trial

SLICE_SECONDS = 1.0
"""How long a trial trains before it returns a result."""


@cache
def _prepare_process() -> None:
    """Import what every trial needs, so that collecting garbage between trials skips it."""
    import_module("trainables.results.evaluate_metric")
    freeze()


class TrialSlices:
    """A trial that is trained one slice at a time.

    An error inside the trial becomes its record. An error that makes the process or its GPU
    unusable is raised.

    Args:
        config: the trial.
        runtime: where it runs.
        seconds: length of a slice; 0 gives a result after every optimiser step.
        release: frees memory when the trial has ended.
    """

    def __init__(
        self,
        config: TrialConfig,
        runtime: Runtime,
        seconds: float = SLICE_SECONDS,
        release: Callable[[], None] = release_memory,
    ) -> None:
        _prepare_process()
        self.trial: Trial | None = Trial(config, runtime)
        self._events: Iterator[Progress] = self.trial.run()
        self._seconds = seconds
        self._release = release

    def step(self) -> dict[str, Any]:
        """Train for a slice.

        Returns:
            A ``Progress`` with ``done``; when the trial has ended, also its ``status`` and
            ``error`` (empty if there was none).

        Raises:
            torch.AcceleratorError: nothing can be computed on the GPU in this process any more.
        """
        trial = self.trial
        assert trial is not None, "a trial that has ended is not stepped again"
        deadline = time.monotonic() + self._seconds
        measured = None if trial.loop is None else len(trial.loop.state.rungs)
        failing = False
        while trial.record is None:
            try:
                for progress in self._events:
                    if measured is None:
                        # A trial that resumes from a checkpoint repeats its last measurements.
                        measured = 0
                    # A scheduler sees every measurement at once.
                    if time.monotonic() >= deadline or len(progress["rungs"]) > measured:
                        return {**progress, "done": False}
            except Exception as error:
                if failing or (
                    isinstance(error, torch.AcceleratorError) and not is_out_of_memory(error)
                ):
                    raise
                failing = True
                self._events = trial.record_failure(error)
        ending = {"done": True, "status": trial.record.status, "error": trial.record.error or ""}
        result = ending if trial.loop is None else {**trial.progress(), **ending}
        del trial
        self.close()
        return result

    def stop(self) -> None:
        """End the trial before its time, at a scheduler's request."""
        if self.trial is not None:
            self.trial.stop()
            self.close()

    def close(self) -> None:
        """Drop the trial and release its memory before another one takes its own."""
        self.trial = None
        self._events = iter(())
        self._release()
