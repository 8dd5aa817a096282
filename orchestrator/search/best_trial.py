"""Which trial of a group is the best one, and what is taken of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.search.rungs import reached
from orchestrator.search.summary import TrialSummary
from search_spaces.distributions import same
from search_spaces.group_settings import group_facts
from trainables.config.schedules import SettingChange
from trainables.config.trial import TrialConfig


@dataclass(frozen=True)
class Incumbent:
    """What a search chose for a group.

    Attributes:
        settings: dotted key -> value with which training begins.
        changes: of them on the way.
    """

    settings: Mapping[str, Any]
    changes: tuple[SettingChange, ...] = ()

    def made(self, config: TrialConfig) -> bool:
        """Whether a trial of the group was trained with it."""
        facts = group_facts(
            config.arm_name, config.arm, config.model_name, config.model, config.training
        )
        return config.changes == self.changes and all(
            key in facts and same(facts[key], value) for key, value in self.settings.items()
        )


def chosen(
    tried: Iterable[TrialSummary], losses: Mapping[int, float], rungs: Sequence[int]
) -> int | None:
    """Index of the trial whose settings are taken.

    That is the finished trial with the highest score on ``selection``; where none has finished,
    among those that came furthest. A score that was measured early says less than one at the end,
    so a trial that was stopped never beats one that was not. Of equals, the one with the lowest
    loss there, then the first. One that diverged or failed is never taken.

    Args:
        tried: the trials of a group.
        losses: index -> loss on ``selection``, where it is known.
        rungs: of the group: training examples after which its trials are measured.

    Returns:
        The index, or none where no trial has a score.
    """
    rivals = [one for one in tried if one.value is not None]
    finished = [one for one in rivals if one.status == "finished"]
    if not finished and rivals:
        furthest = max(reached(rungs, one.examples) for one in rivals)
        finished = [one for one in rivals if reached(rungs, one.examples) == furthest]
    best = min(
        finished,
        key=lambda one: (-(one.value or 0.0), losses.get(one.index, 0.0), one.index),
        default=None,
    )
    return None if best is None else best.index
