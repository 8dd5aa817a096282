"""Population based training: who copies whom after a part of training, and what changes then.

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
"""One in so many is replaced, by one of as many of the best."""

FACTORS = (0.8, 1.2)
"""By one of which a setting is perturbed."""

RESAMPLED = 0.25
"""Probability with which it is drawn anew instead."""


@dataclass(frozen=True)
class MemberScore:
    """A member at the end of a part of training.

    Attributes:
        member: its number.
        score: headline on ``selection``; none: it diverged or failed.
        loss: cross-entropy there.
    """

    member: int
    score: float | None
    loss: float = math.inf


def changeable(space: Space, facts: Mapping[str, Any], group: str) -> tuple[str, ...]:
    """The keys of a space that change on the way; all others a member keeps from its start.

    A parameter that another one's condition asks for stays as it is, so the same settings are
    there before and after.

    Args:
        space: what is searched.
        facts: of the group.
        group: its name, for the message.

    Raises:
        ConfigError: there are none.
    """
    asked = {name for parameter in space.parameters.values() for name in parameter.when}
    able = [f"training.{name}" for name in CHANGEABLE]
    keys = tuple(key for key in space.keys_for(facts) if key in able and key not in asked)
    if not keys:
        raise ConfigError(
            f"space {space.name}: nothing of it can change while {group} trains, as "
            f"tune.scheduler=pbt needs; add one of {', '.join(able)}, or set another scheduler"
        )
    return keys


def exploit(standings: Sequence[MemberScore], seed: int, generation: int) -> dict[int, int]:
    """Truncation selection: member -> the one of the best that it is replaced by.

    The worst quarter is replaced, in which those that diverged or failed come first; they all are
    replaced, even where they are more than a quarter. Of equal scores the one with the lower loss
    is better, then the one with the lower number.

    Args:
        standings: all members of a population.
        seed: of the search.
        generation: the number of the part that begins.

    Returns:
        Those that go on as they are, are not in it; it is empty where nobody can be copied.
    """
    sound = sorted(
        (one for one in standings if one.score is not None),
        key=lambda one: (-(one.score or 0.0), one.loss, one.member),
    )
    if not sound:
        return {}
    size = max(1, len(standings) // TRUNCATED)
    best, others = sound[:size], sound[size:]
    replaced = [one for one in standings if one.score is None]
    replaced += others[max(0, len(others) - max(0, size - len(replaced))) :]
    found = {}
    for one in sorted(replaced, key=lambda one: one.member):
        draw = generator(seed, "pbt", generation, one.member, "source")
        found[one.member] = best[int(draw.integers(len(best)))].member
    return found


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
        keys: of what may change.
        settings: dotted key -> value, of the one that is copied.
        seed, generation, member: see ``exploit``; of the copy.

    Returns:
        Dotted key -> value of what differs from ``settings``.
    """
    found: dict[str, Value] = {}
    for key in (key for key in keys if key in settings):
        draw, parameter = generator(seed, "pbt", generation, member, key), space.parameters[key]
        if draw.random() < RESAMPLED:
            value = parameter.at(draw.random())
        else:
            value = parameter.perturbed(settings[key], FACTORS[int(draw.integers(2))])
        if not same(value, settings[key]):
            found[key] = value
    return found
