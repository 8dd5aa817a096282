"""How much tuning changes the answer: differences to ``single_task`` before and after."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.report.cells import CellGroup, Stat
from orchestrator.report.formats import plain
from orchestrator.report.verdict import REFERENCE, Difference, difference, reference_of


@dataclass(frozen=True)
class Change:
    """One tuned arm and model.

    Attributes:
        label, strategy, model: the arm without word of tuning, and the model.
        tasks: task -> headline metric.
        default: the arm minus ``single_task``, both at the preset's settings; none of
            ``single_task`` itself and where one of the rows is missing.
        tuned: the same with both tuned.
        gain: the arm tuned minus the arm at the preset's settings.
    """

    label: str
    strategy: str
    model: str
    tasks: dict[str, str]
    default: Difference | None
    tuned: Difference | None
    gain: Difference | None

    def stats(self, task: str | None) -> tuple[Stat | None, Stat | None, Stat | None]:
        """``default``, ``tuned`` and ``gain`` of a task's headline, or of macro for none."""
        found = (self.default, self.tuned, self.gain)
        default, tuned, gain = (
            None if one is None else one.macro if task is None else one.tasks[task] for one in found
        )
        return default, tuned, gain


def changes(groups: Sequence[CellGroup]) -> tuple[Change, ...]:
    """Compare every tuned row with the same arm's at the preset's settings, paired by seed."""
    return tuple(_change(groups, group) for group in groups if group.tuned)


def _change(groups: Sequence[CellGroup], tuned: CellGroup) -> Change:
    same = (g for g in groups if (g.arm, g.model, g.tuned) == (tuned.arm, tuned.model, False))
    default = next(same, None)
    return Change(
        label=plain(tuned.name),
        strategy=tuned.strategy,
        model=plain(tuned.model),
        tasks=dict(tuned.tasks),
        default=None if default is None else _to_single_task(groups, default),
        tuned=_to_single_task(groups, tuned),
        gain=None if default is None else difference(tuned, default),
    )


def _to_single_task(groups: Sequence[CellGroup], group: CellGroup) -> Difference | None:
    reference = reference_of(groups, group.model, group.tuned)
    if group.strategy == REFERENCE or reference is None or reference.tuned != group.tuned:
        return None
    return difference(group, reference)
