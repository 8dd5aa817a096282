"""Training settings that change during a trial: which apply at which optimiser step."""

import math

from trainables.config.trial import TrainingConfig, TrialConfig


class SettingSchedule:
    """Converts a trial's setting changes from shares of training to optimiser steps.

    It depends on the configuration alone, so checkpoints hold nothing of it.

    Attributes:
        end: number of optimiser steps after which the trial, or its segment, ends.
        is_dynamic: whether settings change during this trial or one that it continues.
    """

    def __init__(self, config: TrialConfig, total_steps: int) -> None:
        segment = config.search.segment if config.search is not None else None
        self.end = total_steps if segment is None else step_at(segment.until, total_steps)
        self.is_dynamic = bool(config.changes) or segment is not None
        self._phases = [(0, config.training)]
        for change in config.changes:
            settings = self._phases[-1][1].model_copy(update=change.training)
            self._phases.append((step_at(change.at, total_steps), settings))

    def at(self, step: int) -> TrainingConfig:
        """The settings that apply at optimiser step ``step``, counted from 0."""
        return next(settings for first, settings in reversed(self._phases) if first <= step)


def step_at(share: float, total_steps: int) -> int:
    """Number of optimiser steps in ``share`` (in (0, 1]) of the training, rounded up."""
    return math.ceil(share * total_steps - 1e-9)
