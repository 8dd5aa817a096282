"""Whether the arms that are compared had equal terms: examples, optimiser steps and tuning."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.report.rows import Stat, TableRow
from orchestrator.report.verdict import reference_of
from orchestrator.text import number, plain


@dataclass(frozen=True)
class Tuning:
    """What a search spent on the settings of a row.

    Attributes:
        trials: of each group that was searched, re-ranking included: one per task for
            ``single_task``, else one.
        examples: training examples that these trials saw together.
    """

    trials: tuple[int, ...] = ()
    examples: int = 0


NOT_TUNED = Tuning()
Tuned = Mapping[tuple[str, str], Tuning]
"""Arm and model -> what the search spent on them."""


def tuning_of(row: TableRow, tuned: Tuned) -> Tuning | None:
    """What a search spent on a row; None where it is tuned and that is not known."""
    return tuned.get((row.arm, row.model)) if row.tuned else NOT_TUNED


def unequal_terms(rows: Sequence[TableRow], tuned: Tuned) -> tuple[str, ...] | None:
    """A sentence for each pair of compared rows whose terms differ; None without such a pair.

    Examples and steps of a seed differ if it is by more than batches that are not full: one
    batch, or a step per task, in each pass over the data.

    Args:
        rows: of the table.
        tuned: what a search spent on the tuned ones.
    """
    sentences = []
    pairs = list(_pairs(rows))
    if not pairs:
        return None
    for row, reference in pairs:
        parts = list(_differing(row, reference, tuned))
        if parts:
            sentences.append(
                f"{row.label} against {reference.label}, {row.model}: {'; '.join(parts)}."
            )
    for row in rows:
        if any(trial.config.needs for run in row.runs for trial in run.trials):
            sentences.append(
                f"{row.label}, {row.model}: its trials learn from or start from others, whose "
                "training is not counted here."
            )
    return tuple(map(plain, sentences))


def _pairs(rows: Sequence[TableRow]) -> Iterator[tuple[TableRow, TableRow]]:
    """Every row with the one that it is compared with: ``single_task``, else the first one.

    Rows that no seed is complete of, or that are trained on other tasks, are left out.
    """
    for row in rows:
        alike = [r for r in rows if (r.model, r.tuned) == (row.model, row.tuned)]
        reference = reference_of(rows, row.model, row.tuned) or alike[0]
        measured = row.examples() is not None and reference.examples() is not None
        if row is not reference and row.asked == reference.asked and measured:
            yield row, reference


def _differing(row: TableRow, reference: TableRow, tuned: Tuned) -> Iterator[str]:
    configs = [t.config for r in (row, reference) for run in r.runs for t in run.trials]
    passes = max(config.training.epochs for config in configs)
    batch = max(config.training.batch_size for config in configs)
    yield from _difference("examples seen", row.examples(), reference.examples(), passes * batch)
    tasks = len(row.tasks)
    yield from _difference("optimiser steps", row.steps(), reference.steps(), passes * tasks)
    own, other = tuning_of(row, tuned), tuning_of(reference, tuned)
    if own is not None and other is not None and _span(own) != _span(other):
        yield f"tuning trials {tuning_text(own)} against {tuning_text(other)}"


def _difference(what: str, own: Stat | None, other: Stat | None, most: int) -> Iterator[str]:
    if own is not None and other is not None and abs(own.mean - other.mean) > most:
        yield f"{what} {number(own.mean, 'count')} against {number(other.mean, 'count')} a seed"


def _span(tuning: Tuning) -> tuple[int, int]:
    """The fewest and the most trials of a group; how many groups there are is no difference."""
    return min(tuning.trials, default=0), max(tuning.trials, default=0)


def tuning_text(tuning: Tuning) -> str:
    """The number of trials: 16, 3 x 16 for as many of each of three groups, or 16 + 15 + 16."""
    counts = tuning.trials
    if len(counts) > 1 and len(set(counts)) == 1:
        return f"{len(counts)} x {counts[0]}"
    return " + ".join(map(str, counts)) or "0"
