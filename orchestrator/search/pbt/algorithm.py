"""Exploit and explore: who copies whom after a segment of training, and what changes then.

Jaderberg et al. 2017, "Population Based Training of Neural Networks", algorithm 1, with truncation
selection to exploit, and perturbing or resampling to explore. What is drawn depends on the search's
seed, the generation, the member and the key alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search_spaces.distributions import Value, same
from search_spaces.space import Space
from trainables.config.schedules import CHANGEABLE
from trainables.errors import ConfigError
from trainables.seeding import generator

TRUNCATED = 4
"""The worst quarter is replaced by members of the best quarter."""

FACTORS = (0.8, 1.2)
"""A setting is perturbed by one of these factors."""

RESAMPLED = 0.25
"""Probability that a setting is drawn anew from the space instead."""


@dataclass(frozen=True)
class MemberScore:
    """A member at the end of a segment of training.

    Attributes:
        member: its number.
        score: headline metric on ``selection``. None if it diverged or failed.
        loss: cross-entropy on ``selection``, averaged over tasks.
    """

    member: int
    score: float | None
    loss: float = math.inf


def changeable(space: Space, facts: Mapping[str, Any], group: str) -> tuple[str, ...]:
    """The keys of a space that can change during training; all others a member keeps.

    A parameter that the condition of another one names cannot change, so the same parameters are
    active before and after.

    Args:
        space: what is searched.
        facts: of the group.
        group: its name, for the message.

    Raises:
        ConfigError: there are none.
    """
    conditions = {name for parameter in space.parameters.values() for name in parameter.when}
    able = [f"training.{name}" for name in CHANGEABLE]
    keys = tuple(key for key in space.keys_for(facts) if key in able and key not in conditions)
    if not keys:
        raise ConfigError(
            f"space {space.name}: nothing of it can change while {group} trains, as "
            f"tune.scheduler=pbt needs; add one of {', '.join(able)}, or set another scheduler"
        )
    return keys


def exploit(scores: Sequence[MemberScore], seed: int, generation: int) -> dict[int, int]:
    """Truncation selection: member -> the member of the best quarter that it becomes a copy of.

    The worst quarter is replaced. Members that diverged or failed count as the worst and are all
    replaced, even if they are more than a quarter. Of equal scores the one with the lower loss is
    better, then the one with the lower number.

    Args:
        scores: of all members of a population.
        seed: of the search.
        generation: the number of the segment that begins.

    Returns:
        Members that go on as they are are left out; empty if there is nobody to copy.
    """
    ranked = sorted(
        (score for score in scores if score.score is not None),
        key=lambda score: (-(score.score or 0.0), score.loss, score.member),
    )
    if not ranked:
        return {}
    size = max(1, len(scores) // TRUNCATED)
    best, others = ranked[:size], ranked[size:]
    replaced = [score for score in scores if score.score is None]
    replaced += others[max(0, len(others) - max(0, size - len(replaced))) :]
    sources = {}
    for member in sorted(score.member for score in replaced):
        draw = generator(seed, "pbt", generation, member, "source")
        sources[member] = best[int(draw.integers(len(best)))].member
    return sources


def explore(
    space: Space,
    keys: Sequence[str],
    settings: Mapping[str, Value],
    seed: int,
    generation: int,
    member: int,
) -> dict[str, Value]:
    """New values for a copy: each perturbed by one of ``FACTORS``, or drawn anew from the space.

    Args:
        space: keeps the values in their ranges.
        keys: that may change.
        settings: dotted key -> value, of the member that is copied.
        seed, generation, member: see ``exploit``; of the copy.

    Returns:
        Dotted key -> new value, for the keys whose value differs from ``settings``.
    """
    changed: dict[str, Value] = {}
    for key in (key for key in keys if key in settings):
        draw, parameter = generator(seed, "pbt", generation, member, key), space.parameters[key]
        if draw.random() < RESAMPLED:
            value = parameter.at(draw.random())
        else:
            value = parameter.perturbed(settings[key], FACTORS[int(draw.integers(2))])
        if not same(value, settings[key]):
            changed[key] = value
    return changed
