"""The effect of tuning: differences to ``single_task`` with preset and with tuned settings."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from orchestrator.report.rows import Stat, TableRow
from orchestrator.report.verdict import REFERENCE, Difference, difference, reference_of
from orchestrator.text import plain

OUTDATED = (
    "the search has chosen other settings than those that its tuned rows were trained with, so "
    "they are compared with nothing; tune.refit=true trains the new ones"
)


@dataclass(frozen=True)
class Change:
    """One tuned arm and model.

    Attributes:
        label, strategy, model: of the arm (not saying that it is tuned) and the model.
        tasks: task -> headline metric.
        default: the arm minus ``single_task``, both at the preset's settings; None for
            ``single_task`` itself and if one of the rows is missing.
        tuned: the same with both tuned.
        gain: the arm tuned minus the arm at the preset's settings.
        notes: what a reader must know in addition.
    """

    label: str
    strategy: str
    model: str
    tasks: dict[str, str]
    default: Difference | None
    tuned: Difference | None
    gain: Difference | None
    notes: tuple[str, ...] = ()

    def stats(self, task: str | None) -> tuple[Stat | None, Stat | None, Stat | None]:
        """``default``, ``tuned`` and ``gain`` of a task's headline, or of macro for None."""
        default, tuned, gain = (
            None
            if difference is None
            else difference.macro
            if task is None
            else difference.tasks[task]
            for difference in (self.default, self.tuned, self.gain)
        )
        return default, tuned, gain


def changes(
    groups: Sequence[TableRow], outdated: Collection[tuple[str, str]] = ()
) -> tuple[Change, ...]:
    """Compare every tuned row with the same arm's at the preset's settings, paired by seed.

    Args:
        groups: rows of the comparison.
        outdated: arm and model of tuned rows that have other settings than the search chose since:
            they are compared with nothing.
    """
    current = [g for g in groups if not (g.tuned and (g.arm, g.model) in outdated)]
    return tuple(
        _change(current, group, outdated=(group.arm, group.model) in outdated)
        for group in groups
        if group.tuned
    )


def _change(current: Sequence[TableRow], tuned: TableRow, *, outdated: bool) -> Change:
    same = (g for g in current if (g.arm, g.model, g.tuned) == (tuned.arm, tuned.model, False))
    default = next(same, None)
    lengths = () if default is None else _lengths(tuned, default)
    return Change(
        label=plain(tuned.name),
        strategy=tuned.strategy,
        model=plain(tuned.model),
        tasks=dict(tuned.tasks),
        default=None if default is None else _to_single_task(current, default),
        tuned=None if outdated else _to_single_task(current, tuned),
        gain=None if outdated or default is None else difference(tuned, default),
        notes=(OUTDATED,) if outdated else lengths,
    )


def _lengths(tuned: TableRow, default: TableRow) -> tuple[str, ...]:
    """A note if the two rows were trained for different numbers of passes."""
    passes = [
        sorted({trial.config.training.epochs for run in row.runs for trial in run.trials})
        for row in (tuned, default)
    ]
    if passes[0] == passes[1]:
        return ()
    own, preset = (f"{n[0]} to {n[-1]}" if len(n) > 1 else str(n[0]) for n in passes)
    return (
        f"passes over the data: {own} tuned, {preset} at the preset's settings; the gain is that "
        "of other settings and of another length of training together",
    )


def _to_single_task(groups: Sequence[TableRow], group: TableRow) -> Difference | None:
    reference = reference_of(groups, group.model, group.tuned)
    if group.strategy == REFERENCE or reference is None or reference.tuned != group.tuned:
        return None
    return difference(group, reference)
