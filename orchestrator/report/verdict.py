"""Differences to ``single_task``, paired by seed, and sentences for where no predictions are there.

Scores of a few seeds prove little: the words say which way the numbers point, how far apart the
seeds are and how many there are, and claim no significance. With predictions: see ``answers``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.report.columns import metric_unit
from orchestrator.report.notes import notes_of
from orchestrator.report.rows import Stat, TableRow
from orchestrator.text import METRIC_NAMES, count, plain, signed

REFERENCE = "single_task"


@dataclass(frozen=True)
class Difference:
    """A row minus the ``single_task`` row of the same model, tuned minus tuned.

    Attributes:
        label, strategy, model: the row.
        macro: difference of the macro average (a fraction), over the seeds that both rows have;
            None if there is no such seed.
        tasks: task -> the same for its headline metric.
        reference: label of the ``single_task`` row.
    """

    label: str
    strategy: str
    model: str
    macro: Stat | None
    tasks: dict[str, Stat | None]
    reference: str


def differences(rows: Sequence[TableRow]) -> tuple[Difference, ...]:
    """Compare every other row with the ``single_task`` row of its model, if any, seed by seed.

    A tuned row is compared with a tuned one, where there is one.
    """
    compared = []
    for row in rows:
        reference = reference_of(rows, row.model, row.tuned)
        if reference is not None and row is not reference:
            compared.append(difference(row, reference))
    return tuple(compared)


def difference(row: TableRow, reference: TableRow) -> Difference:
    """One row minus another, paired by seed."""
    return Difference(
        label=plain(row.label),
        strategy=row.strategy,
        model=plain(row.model),
        macro=_minus(row.macro(), reference.macro()),
        tasks={t: _minus(row.headline(t), reference.headline(t)) for t in row.tasks},
        reference=plain(reference.label),
    )


def verdict(rows: Sequence[TableRow]) -> tuple[str, ...]:
    """A few sentences per model: the best multi-task arm against ``single_task``, by macro."""
    models = dict.fromkeys(row.model for row in rows)
    return tuple(plain(_of_model(rows, model)) for model in models)


def _of_model(rows: Sequence[TableRow], model: str) -> str:
    own = [row for row in rows if row.model == model]
    if not any(row.asked == row.tasks.keys() for row in own):
        return (
            f"{model}: no arm is trained on all tasks of this table, so it has no mean over them."
        )
    tuned = any(row.tuned and row.strategy != REFERENCE for row in own)
    reference = reference_of(own, model, tuned)
    others = [g for g in own if g.strategy != REFERENCE and g.tuned == tuned]
    if reference is None or not others:
        missing = "single_task arm" if reference is None else "multi-task arm"
        return f"{model}: no {missing} in this grid, nothing to compare."
    best, gap = _best(others, reference)
    if best is None or gap is None:
        if any(_complete(row) & _complete(reference) for row in others):
            return (
                f"{model}: the labels of this split leave the headline metric of every task "
                "undefined, so there is no mean to compare."
            )
        which = "tuned " if tuned else ""
        sentences = [
            f"{model}: no seed is complete in both single_task and a {which}multi-task arm yet."
        ]
        return " ".join(sentences + (_at_default(own, model, None) if tuned else []))
    sentences = [
        f"{model}: {'with tuned settings, ' if tuned else ''}on the macro average the best "
        f"multi-task arm, {best.name}, is "
        f"{_standing(gap, _name(reference, tuned))}{_cost(best, reference)}; {_evidence(gap)}."
    ]
    sentences += _per_task(best, reference)
    if len(others) > 1:
        sentences.append(
            f"It is the best of {len(others)} arms, picked on the numbers shown, which flatters it."
        )
    sentences += _left_out(others, reference, gap)
    sentences += _against_naive(others)
    if notes_of(best, 1) or notes_of(reference, 1):
        sentences.append("Not all of their trials went as planned: see the notes.")
    if tuned:
        sentences += _at_default(own, model, gap)
    return " ".join(sentences)


def _complete(row: TableRow) -> set[int]:
    """The seeds that have a result of every task of the table."""
    return {run.seed for run in row.complete} if row.asked == row.tasks.keys() else set()


def _per_task(best: TableRow, reference: TableRow) -> list[str]:
    """The tasks on which the best arm is worse: a mean over tasks may hide them."""
    if len(best.tasks) == 1:
        return []
    behind = []
    for task, metric in best.tasks.items():
        gap, unit = _minus(best.headline(task), reference.headline(task)), metric_unit(metric)
        if gap is not None and float(points := signed(gap.mean, unit)) < 0:
            name = "accuracy" if metric == "accuracy" else METRIC_NAMES[metric]
            behind.append(f"{task} ({points} {'points ' * (unit == 'percent')}{name})")
    return [f"It is behind on {' and '.join(behind) or 'no task'}."]


def _left_out(others: Sequence[TableRow], reference: TableRow, gap: Stat) -> list[str]:
    """The arms that lack paired seeds, perhaps because their trials went badly."""
    fewer = []
    for row in others:
        own = _minus(row.macro(), reference.macro())
        if row.asked == row.tasks.keys() and (own is None or own.n < gap.n):
            fewer.append(f"{row.name} ({0 if own is None else own.n} of {gap.n})")
    return [f"Not in it for lack of paired seeds: {', '.join(fewer)}."] if fewer else []


def _at_default(own: Sequence[TableRow], model: str, tuned: Stat | None) -> list[str]:
    """The answer at the preset's settings and how it differs from the tuned one, if known."""
    reference = reference_of(own, model, tuned=False)
    others = [g for g in own if g.strategy != REFERENCE and not g.tuned]
    if reference is None or reference.tuned or not others:
        return []
    best, gap = _best(others, reference)
    if best is None or gap is None:
        return []
    answer = "" if tuned is None else f"the answer {_compared(_sign(gap), _sign(tuned))}: "
    return [
        f"At the preset's settings, {answer}the best multi-task arm, {best.name}, is "
        f"{_standing(gap, reference.name)}; {_evidence(gap)}."
    ]


def _sign(gap: Stat) -> int:
    """Sign of a difference as it is displayed: -1, 0 or 1."""
    points = float(signed(gap.mean, "percent"))
    return (points > 0) - (points < 0)


def _compared(default: int, tuned: int) -> str:
    if default == tuned:
        return "points the same way"
    return "points the other way" if default * tuned < 0 else "differs"


def _name(reference: TableRow, tuned: bool) -> str:
    """Name of the reference in a sentence about tuned or about other rows."""
    if tuned and not reference.tuned:
        return f"{reference.name} at the preset's settings"
    return reference.name


def _against_naive(others: Sequence[TableRow]) -> list[str]:
    """Whether knowing the tasks helps: best ``shared_encoder`` against best ``naive_concat``."""
    naive, _ = _top([(g, g.macro()) for g in others if g.strategy == "naive_concat"])
    shared = [g for g in others if g.strategy == "shared_encoder"]
    if naive is None or not shared:
        return []
    best, gap = _best(shared, naive)
    if best is None or gap is None:
        return []
    return [f"{best.name} is {_standing(gap, naive.name)}; {_evidence(gap)}."]


def _best(rows: Sequence[TableRow], reference: TableRow) -> tuple[TableRow | None, Stat | None]:
    """The row with the highest mean paired difference of macro to ``reference``."""
    return _top([(row, _minus(row.macro(), reference.macro())) for row in rows])


def _top(
    candidates: Sequence[tuple[TableRow, Stat | None]],
) -> tuple[TableRow | None, Stat | None]:
    """The highest mean among the rows with the most seeds; the first one of equals."""
    measured = [(row, stat) for row, stat in candidates if stat is not None]
    seeds = max((stat.n for _, stat in measured), default=0)
    rivals = [(row, stat) for row, stat in measured if stat.n == seeds]
    return max(rivals, key=lambda pair: pair[1].mean, default=(None, None))


def _standing(gap: Stat, reference: str) -> str:
    points = signed(gap.mean, "percent")
    average = "on average " if gap.n > 1 else ""
    if not float(points):
        return f"{average}{points} points from {reference}"
    direction = "ahead of" if gap.mean > 0 else "behind"
    against = any(value * gap.mean <= 0 for value in gap.by_seed.values())
    doubt = ", though not in every seed" if against else ""
    return f"{average}{points.lstrip('+-')} points {direction} {reference}{doubt}"


def _evidence(gap: Stat) -> str:
    """How far the seeds agree on a difference, as a clause that claims no significance."""
    if gap.n == 1:
        return "1 paired seed: the spread between seeds is unknown, no claim of significance"
    low, high = (signed(extreme(gap.by_seed.values()), "percent") for extreme in (min, max))
    return f"per seed {low} to {high} points, {gap.n} paired seeds: no claim of significance"


def _cost(best: TableRow, reference: TableRow) -> str:
    own, replaced = best.parameters, reference.parameters
    if own is None or replaced is None:
        return ""
    return (
        f", with 1 model ({count(own)} parameters) in place of {reference.models} "
        f"({count(replaced)})"
    )


def reference_of(rows: Sequence[TableRow], model: str, tuned: bool) -> TableRow | None:
    """The ``single_task`` row of a model that others are compared with.

    One with the same ``tuned`` where there is one, of those one with all tasks, and of those the
    plain arm: others of the strategy may start from a multi-task model.
    """
    rows = [g for g in rows if g.model == model and g.strategy == REFERENCE]
    return min(
        rows,
        key=lambda g: (g.tuned != tuned, len(g.tasks) - len(g.asked), g.arm != REFERENCE),
        default=None,
    )


def _minus(stat: Stat | None, other: Stat | None) -> Stat | None:
    return None if stat is None or other is None else stat.minus(other)
