"""The table as rows of short texts, the same for every format that a human reads.

Compact (one headline per task, fits a terminal), detailed (every metric), the verdicts, what they
could have seen, the differences to ``single_task``, the learning curves, equal terms and cosines.
Nothing is escaped here: each format does that itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from orchestrator.deploy.cost.results import Timing
from orchestrator.deploy.cost.serving import BATCH_SIZES
from orchestrator.report.answers.cost import request, short
from orchestrator.report.columns import TERMS, Column, metric_title, metric_unit
from orchestrator.report.equal_terms import tuning_text
from orchestrator.report.rows import Stat
from orchestrator.report.table import ComparedRows, Row, Table
from orchestrator.text import DASH, UNDEFINED, count, listed, number, share, signed


@dataclass(frozen=True)
class Head:
    """The two lines of a column's head, and whether numbers stand below it."""

    title: str
    unit: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Field:
    """One text of a view: a value, its spread (``±0.31`` or nothing), marks."""

    text: str
    spread: str = ""
    bold: bool = False
    notes: tuple[int, ...] = ()


@dataclass(frozen=True)
class View:
    """A titled grid of fields; ``rows[i][j]`` stands below ``heads[j]``."""

    title: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[Field, ...], ...]


NAMES = (Head("arm", numeric=False), Head("model", numeric=False))


def compact(table: Table, paired: bool = False) -> View:
    """Headline per task, macro, pooled, seeds, models to deploy, parameters, training time.

    With ``paired`` the last four take the place of two: parameters stand where a spread would,
    below the models, and the time below the seeds.
    """
    scored = [c for c in table.columns if c.compact and c.key != "train_seconds"]
    costs = (Head("seeds"), Head("models"), Head("params"), Head("train", "time"))
    heads = (
        *NAMES,
        *(Head(*column.title) for column in scored),
        *((Head("models", "params"), Head("seeds", "time")) if paired else costs),
    )
    rows = (
        (
            *_names(row),
            *(_field(table, row, column) for column in scored),
            *_costs(row, paired),
        )
        for row in table.rows
    )
    return View("Comparison", heads, tuple(rows))


def detailed(table: Table) -> View:
    """Every measured column with its spread; ``(n)`` where fewer seeds than planned are in it."""
    columns = [column for column in table.columns if column.key not in TERMS]
    heads = (*NAMES, *(Head(*column.title) for column in columns))
    rows = (
        (*_names(row), *(_field(table, row, column, seeds=True) for column in columns))
        for row in table.rows
    )
    return View("All metrics", heads, tuple(rows))


def equal_terms(table: Table) -> View:
    """What a seed of each row saw and took, and what was spent on its settings."""
    columns = [column for column in table.columns if column.key in TERMS]
    heads = (
        *NAMES,
        *(Head(*column.title) for column in columns),
        Head("tuning", "trials"),
        Head("tuning", "examples"),
    )
    rows = (
        (
            Field(row.label),
            Field(row.model),
            *(_term(row, column) for column in columns),
            Field(DASH if row.tuning is None else tuning_text(row.tuning)),
            Field(DASH if row.tuning is None else number(row.tuning.examples, "count")),
        )
        for row in table.rows
        if not row.baseline
    )
    return View("Equal terms", heads, tuple(rows))


EQUAL_TERMS = (
    "Of a seed: training examples seen, optimiser steps, and device time, the training time "
    "multiplied by the CPU threads of a trial (by one for a GPU, also where trials share it). "
    "Tuning: trials of the search for the row's settings, and the examples that they saw."
)
"""How to read the view of equal terms, in every format."""


def terms_text(table: Table) -> tuple[str, ...]:
    """Where terms differ, or that they do not; nothing where nothing is compared yet."""
    return (EQUAL,) if table.unequal == () else table.unequal or ()


EQUAL = (
    "Compared arms saw as many examples and took as many steps, but for batches that are not full, "
    "and had as many tuning trials."
)


def _term(row: Row, column: Column) -> Field:
    stat = row.cells[column.key].stat
    return Field(DASH if stat is None else number(stat.mean, column.unit))


def cost(table: Table) -> View:
    """What the models of each row cost to deploy; no rows where nothing was measured.

    Times are the median and the 95th percentile, rates the median of the rounds.
    """
    single, several = BATCH_SIZES
    heads = (
        *NAMES,
        Head("models"),
        Head("params"),
        Head("weights", "MB"),
        Head("peak memory", "MB"),
        Head("training", "device time"),
        Head("one task", "ms"),
        Head("one task", "texts/s"),
        Head("one task", f"texts/s by {several}"),
        Head("all tasks", "ms"),
        Head("all tasks", "texts/s"),
        Head("all tasks", f"texts/s by {several}"),
    )
    rows = []
    for row in table.rows:
        own = None if table.costs is None else table.costs.row(row.label, row.model)
        if own is None:
            continue
        arm, measured = own
        timings = [
            field
            for scenario in ("one_task", "all_tasks")
            for field in (
                _latency(measured.timing(scenario, single)),
                _rate(measured.timing(scenario, single)),
                _rate(measured.timing(scenario, several)),
            )
        ]
        rows.append(
            (
                Field(row.label),
                Field(row.model),
                Field(str(measured.models)),
                Field(count(measured.parameters)),
                Field(short(measured.megabytes)),
                Field(short(measured.peak.median)),
                Field(number(arm.training_device_seconds, "seconds")),
                *timings,
            )
        )
    return View("Cost to deploy", heads, tuple(rows))


def cost_text(table: Table) -> tuple[str, ...]:
    """What was measured and how; nothing where nothing was."""
    if table.costs is None:
        return ()
    measured = table.costs.measured
    cpu = measured.device == "cpu"
    threads = f"{measured.threads} thread{'s' * (measured.threads > 1)}"
    on = f"a CPU with {threads}" if cpu else measured.device
    memory = "resident memory beyond that of the imports" if cpu else "GPU memory of torch"
    most = max(measured.arms, key=lambda arm: len(arm.tasks))
    untrained = [arm.label for arm in measured.arms if not measured.of(arm).saved]
    return (
        f"Measured on {on} in {measured.precision}, {measured.finished}, from texts to answers, "
        "on texts of the validation splits: "
        "one task is asked about one text, or all tasks about the same input "
        f"({request(measured, most)}). Milliseconds: median and 95th percentile of single "
        f"requests; texts a second: a pair counts as one; by {BATCH_SIZES[1]}: so many in a "
        f"batch. Peak memory: {memory}. Each row is one seed.",
        *(
            [f"Untrained weights of the same shape, as none were saved: {listed(untrained)}."]
            if untrained
            else []
        ),
        *(
            [f"Not measured, as no seed has finished: {listed(measured.unfinished)}."]
            if measured.unfinished
            else []
        ),
    )


def _latency(timing: Timing) -> Field:
    return Field(f"{timing.p50_ms:,.1f}", f"({timing.p95_ms:,.1f})")


def _rate(timing: Timing) -> Field:
    return Field(short(timing.texts_per_second.median))


def difference(table: Table) -> View:
    """Each arm minus ``single_task`` of the same model, paired by seed; no rows without one.

    Where that is not always the row of this name, a column names the one that is subtracted.
    """
    heads = (
        *NAMES,
        *([Head("minus", numeric=False)] if table.references_differ else []),
        Head("macro", "points"),
        *(Head(task.name, _difference_unit(task.headline)) for task in table.tasks),
        Head("seeds"),
    )
    rows = []
    for entry in table.differences:
        tasks = zip(entry.tasks.values(), table.tasks, strict=True)
        seeds = max((stat.n for stat in entry.tasks.values() if stat is not None), default=0)
        rows.append(
            (
                Field(entry.label),
                Field(entry.model),
                *([Field(entry.reference)] if table.references_differ else []),
                _signed(entry.macro, "percent"),
                *(_signed(stat, metric_unit(task.headline)) for stat, task in tasks),
                Field(str(entry.macro.n if entry.macro else seeds)),
            )
        )
    return View("Difference to single_task", heads, tuple(rows))


def verdicts(comparisons: Sequence[ComparedRows]) -> View:
    """A line per comparison: difference, interval and margin in points, the word, adjusted p."""
    heads = (*COMPARED, Head("difference"), Head("interval"), Head("verdict", numeric=False))
    heads = (*heads, Head("margin"), Head("p", "adjusted"))
    rows = (
        (
            *_compared(c),
            Field(signed(c.difference, "percent")),
            Field(f"[{signed(c.interval[0], 'percent')}, {signed(c.interval[1], 'percent')}]"),
            Field(c.word),
            Field(f"{100 * c.margin:g}"),
            Field(f"{c.p:.3f}" if c.p >= 0.0005 else "< 0.001"),
        )
        for c in comparisons
    )
    return View("Verdicts", heads, tuple(rows))


def power(comparisons: Sequence[ComparedRows]) -> View:
    """What each comparison could have seen, see ``orchestrator.analysis.power``."""
    heads = (*COMPARED, Head("seeds"), Head("examples"), Head("finds", "points"))
    heads = (*heads, Head("margin"), Head("equivalent", "if equal"))
    rows = (
        (
            *_compared(c),
            Field(" and ".join(map(str, dict.fromkeys(c.seeds)))),
            Field(f"{c.examples:,}"),
            Field(DASH if c.detectable is None else number(c.detectable, "percent")),
            Field(f"{100 * c.margin:g}"),
            Field(
                DASH if c.equivalent_if_equal is None else f"{100 * c.equivalent_if_equal:.0f} %"
            ),
        )
        for c in comparisons
    )
    return View("What this grid could have seen", heads, tuple(rows))


COMPARED = (*NAMES, Head("against", numeric=False), Head("on", numeric=False))


def _compared(c: ComparedRows) -> tuple[Field, ...]:
    return Field(c.label), Field(c.model), Field(c.reference), Field(c.scope)


def learning(table: Table) -> View:
    """A line per learning curve, a column per share of the training data."""
    shares = sorted({value for curve in table.learning for value, _ in curve.points})
    heads = (*NAMES, Head("task", numeric=False), *(Head(share(value)) for value in shares))
    rows = []
    for curve in table.learning:
        unit = metric_unit(curve.metric)
        stats = dict(curve.points)
        cells = (
            Field(number(stats[value].mean, unit), _spread(stats[value], unit))
            if value in stats
            else Field(DASH)
            for value in shares
        )
        task = Field(f"{curve.task} {metric_title(curve.metric)}")
        rows.append((Field(curve.label), Field(curve.model), task, *cells))
    return View("Headline metric by share of the training data", heads, tuple(rows))


def cosines(table: Table) -> View:
    """A row per pair of tasks whose gradients were compared: over training, at its start and end.

    Where several seeds measured, each of their values is one.
    """
    heads = (
        *NAMES,
        Head("pair of tasks", numeric=False),
        Head("mean", "over training"),
        Head("first", "measurement"),
        Head("last", "measurement"),
        Head("negative", "%"),
    )
    rows = []
    for curve in table.cosines:
        stats = [stat for _, stat in curve.points]
        values = [value for stat in stats for value in stat.by_seed.values()]
        shown = (fmean(values), stats[0].mean, stats[-1].mean)
        rows.append(
            (
                Field(curve.task),
                Field(curve.model),
                Field(curve.label),
                *(Field(signed(value, "fraction")) for value in shown),
                Field(number(sum(value < 0 for value in values) / len(values), "percent")),
            )
        )
    return View("Cosines between the tasks' gradients", heads, tuple(rows))


def methods(table: Table) -> tuple[tuple[str, str], ...]:
    """What each arm's name stands for: label and method, in the order of the rows."""
    return tuple(dict.fromkeys((row.label, row.method) for row in table.rows if not row.baseline))


def _difference_unit(metric: str) -> str:
    return metric_title(metric).replace(" %", " points")


def _names(row: Row) -> tuple[Field, Field]:
    return Field(row.label, notes=row.notes), Field(row.model or DASH)


def _costs(row: Row, paired: bool) -> tuple[Field, ...]:
    time = row.cells["train_seconds"].stat
    texts = (
        DASH if row.baseline else f"{row.seeds_complete}/{row.seeds_planned}",
        DASH if row.baseline else str(row.models),
        DASH if row.parameters is None else count(row.parameters),
        DASH if time is None else number(time.mean, "seconds"),
    )
    if not paired:
        return tuple(Field(text) for text in texts)
    seeds, models, parameters, duration = ("" if text == DASH else text for text in texts)
    return Field(models or DASH, parameters), Field(seeds or DASH, duration)


def _field(table: Table, row: Row, column: Column, seeds: bool = False) -> Field:
    cell = row.cells[column.key]
    if cell.stat is None:
        text = UNDEFINED if column.key in table.undefined else DASH
        return Field(text, notes=cell.notes)
    spread = _spread(cell.stat, column.unit)
    if seeds and not row.baseline and cell.stat.n < row.seeds_planned:
        spread = f"{spread} ({cell.stat.n})".strip()
    return Field(number(cell.stat.mean, column.unit), spread, cell.better, cell.notes)


def _spread(stat: Stat, unit: str) -> str:
    return "" if stat.std is None else f"±{number(stat.std, unit)}"


def _signed(stat: Stat | None, unit: str) -> Field:
    if stat is None:
        return Field(DASH)
    return Field(signed(stat.mean, unit), _spread(stat, unit))


def marks(notes: Sequence[int]) -> str:
    """Footnote numbers as they stand in the table: ``1,2``."""
    return ",".join(map(str, notes))
