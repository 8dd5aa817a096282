"""Which trial of a group is the best one, and which settings are taken from it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.search.rungs import reached
from orchestrator.search.summary import TrialSummary
from search_spaces.distributions import same
from search_spaces.group_settings import group_facts
from trainables.config.schedules import SettingChange
from trainables.config.trial import TrialConfig
from trainables.results.status import TrialStatus


@dataclass(frozen=True)
class Incumbent:
    """The best settings of a group so far.

    Attributes:
        settings: dotted key -> value at the start of training.
        changes: of the settings during training.
    """

    settings: Mapping[str, Any]
    changes: tuple[SettingChange, ...] = ()

    def matches(self, config: TrialConfig) -> bool:
        """Whether a trial of the group was trained with these settings."""
        facts = group_facts(
            config.arm_name, config.arm, config.model_name, config.model, config.training
        )
        return config.changes == self.changes and all(
            key in facts and same(facts[key], value) for key, value in self.settings.items()
        )


def ranking(
    trials: Iterable[TrialSummary], losses: Mapping[int, float], rungs: Sequence[int]
) -> list[int]:
    """Indices of the trials whose settings may be taken, the best one first.

    Those are the finished trials by their scores on ``selection``; if none has finished, those
    that came furthest. A score that was measured early says less than one at the end,
    so a trial that was stopped never beats one that was not. Of equal scores the one with the
    lowest loss wins, then the first. A trial that diverged or failed is never taken.

    Args:
        trials: of a group.
        losses: index -> loss on ``selection``; trials without a loss may be left out.
        rungs: of the group: training examples after which its trials report a score.

    Returns:
        The indices; none if no trial has a score.
    """
    scored = [trial for trial in trials if trial.value is not None]
    candidates = [trial for trial in scored if trial.status == TrialStatus.FINISHED]
    if not candidates and scored:
        furthest = max(reached(rungs, trial.examples) for trial in scored)
        candidates = [trial for trial in scored if reached(rungs, trial.examples) == furthest]
    ranked = sorted(
        candidates,
        key=lambda trial: (-(trial.value or 0.0), losses.get(trial.index, 0.0), trial.index),
    )
    return [trial.index for trial in ranked]
