"""Which settings hold at which step of a trial, and where it ends."""

import math

from trainables.config.trial import TrainingConfig, TrialConfig


class SettingSchedule:
    """What of a trial is told by shares of its steps, told by steps.

    It follows from the configuration alone, so nothing of it is kept in a checkpoint.

    Attributes:
        end: optimiser steps after which the trial, or its segment, ends.
        is_dynamic: whether settings change during this trial or one that it continues.
    """

    def __init__(self, config: TrialConfig, total_steps: int) -> None:
        segment = config.search.segment if config.search is not None else None
        self.end = total_steps if segment is None else step_at(segment.until, total_steps)
        self.is_dynamic = bool(config.changes) or segment is not None
        self._parts = [(0, config.training)]
        for change in config.changes:
            settings = self._parts[-1][1].model_copy(update=change.training)
            self._parts.append((step_at(change.at, total_steps), settings))

    def at(self, step: int) -> TrainingConfig:
        """The settings of optimiser step ``step``, counted from 0."""
        return next(settings for first, settings in reversed(self._parts) if first <= step)


def step_at(share: float, total_steps: int) -> int:
    """Optimiser steps that are taken when ``share`` of them all, above 0, is over: at least one."""
    return math.ceil(share * total_steps - 1e-9)
