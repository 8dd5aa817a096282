"""Differences to ``single_task``, paired by seed, and what they say in plain words.

A few seeds prove little: the words say which way the numbers point, how far apart the seeds are and
how many there are, and claim no significance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.report.cells import CellGroup, Stat
from orchestrator.report.formats import count, plain, signed
from orchestrator.report.notes import notes_of

REFERENCE = "single_task"


@dataclass(frozen=True)
class Difference:
    """A row minus the ``single_task`` row of the same model.

    Attributes:
        label, strategy, model: the row.
        macro: difference of the macro average (a fraction), over the seeds that both rows have;
            none where there is no such seed.
        tasks: task -> the same for its headline metric.
    """

    label: str
    strategy: str
    model: str
    macro: Stat | None
    tasks: dict[str, Stat | None]


def differences(groups: Sequence[CellGroup]) -> tuple[Difference, ...]:
    """Compare every row with the ``single_task`` row of its model, seed by seed."""
    found = []
    for group in groups:
        reference = _reference(groups, group.model)
        if reference is not None and group is not reference:
            tasks = {t: _minus(group.headline(t), reference.headline(t)) for t in group.tasks}
            macro = _minus(group.macro(), reference.macro())
            found.append(
                Difference(plain(group.label), group.strategy, plain(group.model), macro, tasks)
            )
    return tuple(found)


def verdict(groups: Sequence[CellGroup]) -> tuple[str, ...]:
    """A few sentences per model: where the best multi-task arm stands on the macro average."""
    models = dict.fromkeys(group.model for group in groups)
    return tuple(plain(_of_model(groups, model)) for model in models)


def _of_model(groups: Sequence[CellGroup], model: str) -> str:
    own = [group for group in groups if group.model == model]
    if not any(group.asked == group.tasks.keys() for group in own):
        return (
            f"{model}: no arm is trained on all tasks of this table, so it has no mean over them."
        )
    reference = _reference(groups, model)
    others = [group for group in own if group.strategy != REFERENCE]
    if reference is None or not others:
        missing = "single_task arm" if reference is None else "multi-task arm"
        return f"{model}: no {missing} in this grid, nothing to compare."
    best, gap = _best(others, reference)
    if best is None or gap is None:
        return f"{model}: no seed is complete in both single_task and a multi-task arm yet."
    sentences = [
        f"{model}: on the macro average the best multi-task arm, {best.label}, is "
        f"{_standing(gap, reference)}{_cost(best, reference)}; {_evidence(gap)}."
    ]
    if len(others) > 1:
        sentences.append(
            f"It is the best of {len(others)} arms, picked on the numbers shown, which flatters it."
        )
    sentences += _against_naive(others)
    if notes_of(best, 1) or notes_of(reference, 1):
        sentences.append("Not all of their trials went as planned: see the notes.")
    return " ".join(sentences)


def _against_naive(others: Sequence[CellGroup]) -> list[str]:
    """Whether knowing the tasks helps: best ``shared_encoder`` against best ``naive_concat``."""
    naive, _ = _top([(g, g.macro()) for g in others if g.strategy == "naive_concat"])
    shared = [g for g in others if g.strategy == "shared_encoder"]
    if naive is None or not shared:
        return []
    best, gap = _best(shared, naive)
    if best is None or gap is None:
        return []
    return [f"{best.label} is {_standing(gap, naive)}; {_evidence(gap)}."]


def _best(
    groups: Sequence[CellGroup], reference: CellGroup
) -> tuple[CellGroup | None, Stat | None]:
    """The row with the highest mean paired difference of macro to ``reference``."""
    return _top([(group, _minus(group.macro(), reference.macro())) for group in groups])


def _top(
    found: Sequence[tuple[CellGroup, Stat | None]],
) -> tuple[CellGroup | None, Stat | None]:
    """The highest mean among the rows with the most seeds; the first one of equals."""
    known = [(group, stat) for group, stat in found if stat is not None]
    seeds = max((stat.n for _, stat in known), default=0)
    rivals = [(group, stat) for group, stat in known if stat.n == seeds]
    return max(rivals, key=lambda pair: pair[1].mean, default=(None, None))


def _standing(gap: Stat, reference: CellGroup) -> str:
    points = signed(gap.mean, "percent")
    if not float(points):
        return f"level with {reference.label}"
    average = "on average " if gap.n > 1 else ""
    direction = "ahead of" if gap.mean > 0 else "behind"
    against = any(value * gap.mean <= 0 for value in gap.by_seed.values())
    doubt = ", though not in every seed" if against else ""
    return f"{average}{points.lstrip('+-')} points {direction} {reference.label}{doubt}"


def _evidence(gap: Stat) -> str:
    if gap.n == 1:
        return "1 paired seed: the spread between seeds is unknown, no claim of significance"
    low, high = (signed(extreme(gap.by_seed.values()), "percent") for extreme in (min, max))
    return f"per seed {low} to {high} points, {gap.n} paired seeds: no claim of significance"


def _cost(best: CellGroup, reference: CellGroup) -> str:
    one, many = best.parameters, reference.parameters
    if one is None or many is None:
        return ""
    return (
        f", with 1 model ({count(one)} parameters) in place of {reference.models} ({count(many)})"
    )


def _reference(groups: Sequence[CellGroup], model: str) -> CellGroup | None:
    """The first ``single_task`` row of the model, of those with all tasks where there are such."""
    rows = [g for g in groups if g.model == model and g.strategy == REFERENCE]
    return min(rows, key=lambda g: len(g.tasks) - len(g.asked), default=None)


def _minus(one: Stat | None, other: Stat | None) -> Stat | None:
    return None if one is None or other is None else one.minus(other)
