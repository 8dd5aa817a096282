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


def learning_curves(rows: Sequence[TableRow]) -> tuple[Curve, ...]:
    """Curves of two or more shares each, tasks first, then models, then methods."""
    arms = {row.arm: _config(row).arm for row in rows}
    families: dict[tuple[str, str], dict[float, TableRow]] = {}
    for row in rows:
        members = families.setdefault((row.model, _family(row.arm, arms)), {})
        members.setdefault(_share(_config(row)), row)
    grown = {family: members for family, members in families.items() if len(members) > 1}
    names = {
        family: _label([plain(row.label) for row in members.values()])
        for family, members in grown.items()
    }
    alike = Counter((family[0], names[family]) for family in grown)
    curves = [
        _curve(members, task, names[family] if alike[model, names[family]] == 1 else None)
        for task in (rows[0].tasks if rows else ())
        for model in dict.fromkeys(row.model for row in rows)
        for family, members in grown.items()
        if family[0] == model
    ]
    return tuple(curve for curve in curves if curve.points)


def _config(row: TableRow) -> TrialConfig:
    return row.runs[0].trials[0].config


def _share(config: TrialConfig) -> float:
    return config.limits.train_fraction or 1.0


def _family(name: str, arms: Mapping[str, ArmConfig]) -> str:
    """The settings of an arm without its names and its share of the data, as JSON."""
    content = arms[name].model_dump(mode="json", exclude={"label", "train_fraction"})
    for section in (content, content.get("distillation") or {}):
        for key in NAMED:
            if section.get(key) in arms:
                section[key] = _family(section[key], arms)
    return json.dumps(content, sort_keys=True)


def _curve(members: Mapping[float, TableRow], task: str, label: str | None) -> Curve:
    ordered = sorted(members.items())
    largest = ordered[-1][1]
    stats = ((share, row.headline(task)) for share, row in ordered)
    return Curve(
        plain(task),
        largest.tasks[task],
        plain(largest.model),
        label or plain(largest.label),
        tuple((share, stat) for share, stat in stats if stat is not None),
    )


def _label(labels: Sequence[str]) -> str:
    """The common beginning of the labels, without a share's digits and what is before them."""
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(min(labels), max(labels), strict=False))
    common = "".join(character for character, _ in alike)
    return common if common in labels else re.sub(r"[\s.,:(_-]*[\d.]*$", "", common)
