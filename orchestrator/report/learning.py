"""Learning curves: what a task gains from more of its training data.

Arms that differ in ``train_fraction`` alone (and in their names) are one method at several shares
of the data, and become one curve.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import takewhile

from orchestrator.report.curves import Curve
from orchestrator.report.rows import TableRow
from orchestrator.text import plain
from trainables.config.arms import ArmConfig
from trainables.config.trial import TrialConfig

NAMED = ("start_from", "teachers")
"""Settings that name another arm, which may have a ``train_fraction`` of its own."""


def learning_curves(groups: Sequence[TableRow]) -> tuple[Curve, ...]:
    """Curves of two or more shares each, tasks first, then models, then methods."""
    arms = {group.arm: _config(group).arm for group in groups}
    families: dict[tuple[str, str], dict[float, TableRow]] = {}
    for group in groups:
        members = families.setdefault((group.model, _family(group.arm, arms)), {})
        members.setdefault(_share(_config(group)), group)
    grown = {place: m for place, m in families.items() if len(m) > 1}
    names = {place: _label([plain(g.label) for g in m.values()]) for place, m in grown.items()}
    alike = Counter((model, names[model, family]) for model, family in grown)
    curves = [
        _curve(members, task, names[place] if alike[model, names[place]] == 1 else None)
        for task in (groups[0].tasks if groups else ())
        for model in dict.fromkeys(group.model for group in groups)
        for place, members in grown.items()
        if place[0] == model
    ]
    return tuple(curve for curve in curves if curve.points)


def _config(group: TableRow) -> TrialConfig:
    return group.runs[0].trials[0].config


def _share(config: TrialConfig) -> float:
    return config.limits.train_fraction or 1.0


def _family(name: str, arms: Mapping[str, ArmConfig]) -> str:
    """What is left of an arm without its names and its share of the data, as JSON."""
    content = arms[name].model_dump(mode="json", exclude={"label", "train_fraction"})
    for section in (content, content.get("distillation") or {}):
        for key in NAMED:
            if section.get(key) in arms:
                section[key] = _family(section[key], arms)
    return json.dumps(content, sort_keys=True)


def _curve(members: Mapping[float, TableRow], task: str, label: str | None) -> Curve:
    ordered = sorted(members.items())
    largest = ordered[-1][1]
    stats = ((share, group.headline(task)) for share, group in ordered)
    return Curve(
        plain(task),
        largest.tasks[task],
        plain(largest.model),
        label or plain(largest.label),
        tuple((share, stat) for share, stat in stats if stat is not None),
    )


def _label(labels: Sequence[str]) -> str:
    """What the labels begin with, without a share's digits and what is before them."""
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(min(labels), max(labels), strict=False))
    common = "".join(character for character, _ in alike)
    return common if common in labels else re.sub(r"[\s.,:(_-]*[\d.]*$", "", common)
