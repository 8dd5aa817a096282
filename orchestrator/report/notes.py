"""Footnotes of the comparison table: whatever did not go as planned stays visible."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orchestrator.report.header import TaskFacts
from orchestrator.report.rows import SeedRun, TableRow
from orchestrator.text import plain
from trainables.results.record import TaskResult, TrialRecord
from trainables.results.status import TrialStatus


@dataclass(frozen=True)
class Note:
    """One footnote.

    Attributes:
        number: its mark in the table, counted from 1.
        kind: ``failed``, ``diverged``, ``missing``, ``degenerate`` or ``memory``; ``labels`` if it
            is about a task's labels, for all rows alike.
        task: the task whose cell bears the mark; None for the row itself.
        keys: of the trials that it is about; none of them where it is about labels.
        text: one line: trial, seeds and reason.
    """

    number: int
    kind: str
    task: str | None
    keys: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class _Event:
    kind: str
    cell: str | None
    title_suffix: str
    reason: str


def notes_of_labels(tasks: Iterable[str], facts: Iterable[TaskFacts]) -> tuple[Note, ...]:
    """A footnote for each task whose labels say little of its headline metric.

    Args:
        tasks: the tasks' names.
        facts: the same tasks' facts.
    """
    found = [
        (name, f"{task.name}: {task.caveats[task.headline]}")
        for name, task in zip(tasks, facts, strict=True)
        if task.headline in task.caveats
    ]
    return tuple(
        Note(number, "labels", name, (), plain(text))
        for number, (name, text) in enumerate(found, 1)
    )


def notes_of(row: TableRow, first: int) -> tuple[Note, ...]:
    """Footnotes of one row, numbered from ``first``; equal events of several seeds share one."""
    trials: dict[_Event, list[tuple[int, str]]] = {}
    for run in row.runs:
        for event, key in _events(row, run):
            trials.setdefault(event, []).append((run.seed, key))
    ordered = sorted(trials.items(), key=lambda item: item[0].cell is not None)
    return tuple(
        _note(row, number, event, seeds) for number, (event, seeds) in enumerate(ordered, first)
    )


def degenerate_class(result: TaskResult) -> int | None:
    """The class that every prediction falls into, where the examples are of several classes."""
    true = [sum(row) for row in result.confusion]
    predicted = [sum(column) for column in zip(*result.confusion, strict=True)]
    if sum(map(bool, predicted)) != 1 or sum(map(bool, true)) < 2:
        return None
    return next(i for i, n in enumerate(predicted) if n)


def _events(row: TableRow, run: SeedRun) -> Iterator[tuple[_Event, str]]:
    """The events of one seed's trials (see ``Note.kind``), each with the key of its trial."""
    records = {record.key: record for record in run.records}
    for trial in run.trials:
        record = records.get(trial.key)
        is_single_task = row.strategy == "single_task"
        title_suffix = " " + ", ".join(trial.config.tasks) if is_single_task else ""
        if record is None:
            yield _Event("missing", None, title_suffix, "no record yet"), trial.key
        elif record.status is not TrialStatus.FINISHED:
            reason = f"{record.status}: {record.error or 'no reason was recorded'}"
            yield _Event(record.status, None, title_suffix, reason), trial.key
        else:
            yield from _missing_results(run, record, title_suffix)
            yield from _degenerate(run, record)
            if record.accumulation:
                step, micro_batches = record.accumulation[-1]
                reason = (
                    f"memory: batches were too large for it, from step {step} of {record.steps} on "
                    f"each is computed in {micro_batches} parts; the effective batch size is the "
                    "same"
                )
                yield _Event("memory", None, title_suffix, reason), record.key


def _missing_results(
    run: SeedRun, record: TrialRecord, title_suffix: str
) -> Iterator[tuple[_Event, str]]:
    """The event that a finished trial lacks a task's result on the table's split."""
    missing_tasks = [name for name in record.config.tasks if name not in run.results]
    if missing_tasks:
        reason = f"no result of {', '.join(missing_tasks)} on this split"
        yield _Event("missing", None, title_suffix, reason), record.key


def _degenerate(run: SeedRun, record: TrialRecord) -> Iterator[tuple[_Event, str]]:
    for task in record.config.tasks:
        result = run.results.get(task)
        if result is not None and result.numbers is not None:
            if result.constant and result.scores()["pearson"] is not None:
                reason = f"degenerate: every prediction is {result.numbers.mean_prediction:.4g}"
                yield _Event("degenerate", task, f" {task}", reason), record.key
            continue
        predicted = None if result is None else degenerate_class(result)
        if predicted is not None:
            names = record.labels.get(task, ())
            name = names[predicted] if predicted < len(names) else f"class {predicted}"
            reason = f"degenerate: every prediction is {name}"
            yield _Event("degenerate", task, f" {task}", reason), record.key


def _note(row: TableRow, number: int, event: _Event, trials: list[tuple[int, str]]) -> Note:
    seeds = ", ".join(str(seed) for seed, _ in trials)
    keys = tuple(key for _, key in trials)
    title = f"{row.label} {row.model}{event.title_suffix}"
    effect = "in the means" if event.kind in ("degenerate", "memory") else "not in the means"
    text = (
        f"{title}, seed{'s' if len(trials) > 1 else ''} {seeds}: {event.reason} "
        f"({effect}; trial{'s' if len(trials) > 1 else ''} {', '.join(keys)})"
    )
    return Note(number, event.kind, event.cell, keys, plain(text))
