"""The comparison table as pure values: what every format shows and nothing else.

Records in, ``Table`` out. Columns are defined in ``columns.py``, rows and seeds
in ``rows.py``, the verdict in ``verdict.py``.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.analysis.looks import LEVEL, Look
from orchestrator.analysis.power import chance_of_equivalence, detectable
from orchestrator.analysis.verdicts import Word
from orchestrator.config.experiment import PAIRED_SEEDS
from orchestrator.deploy.cost.results import Cost
from orchestrator.planning.data_facts import DataFacts
from orchestrator.report.answers.answer import (
    Answer,
    Line,
    Passage,
    RelativeChange,
    answer,
    answered,
    relative_change,
)
from orchestrator.report.answers.cost import Costs, join
from orchestrator.report.answers.look import LookTaken, look_taken
from orchestrator.report.answers.sentences import sentence
from orchestrator.report.columns import Column, Measure, columns
from orchestrator.report.comparisons import Compared, Predicted, compared, planned_pairs
from orchestrator.report.cosines import cosine_curves
from orchestrator.report.curves import Curve, curves
from orchestrator.report.equal_terms import NOT_TUNED, Tuned, Tuning, tuning_of, unequal_terms
from orchestrator.report.header import TaskFacts, header, majority_result, task_facts
from orchestrator.report.learning import learning_curves
from orchestrator.report.methods import method
from orchestrator.report.notes import Note, notes_of, notes_of_labels
from orchestrator.report.rows import PlannedTrial, SeedRun, Stat, TableRow, table_rows
from orchestrator.report.verdict import REFERENCE, Difference, differences, verdict
from orchestrator.text import plain
from trainables.config.arms import ArmConfig
from trainables.errors import ConfigError
from trainables.results.record import MACRO, TrialRecord

TABLE_SCHEMA = 2
"""1 had ``best`` in a cell, the highest of its column, in place of ``better``."""


@dataclass(frozen=True)
class Cell:
    """One number of one row.

    Attributes:
        stat: over the row's seeds.
        better: whether a verdict says that the row is better here than another one of its model,
            and none that another one is better than it.
        notes: numbers of its footnotes.
    """

    stat: Stat | None
    better: bool = False
    notes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Row:
    """One line of the table: an arm and a model, or the majority-class baseline.

    Attributes:
        baseline: whether it is the baseline, which has no seeds, models or costs.
        cells: column key -> cell.
        seeds_complete, seeds_planned: seeds that have every task, of those in the plan.
        models: how many models to deploy.
        parameters: of all of them together; None until known.
        method: how the arm is trained, in the words of its settings.
        notes: footnotes of the row itself.
        tuned: whether a search found its settings.
        tuning: what that search spent; None where it is not known.
    """

    label: str
    arm: str
    strategy: str
    model: str
    baseline: bool
    cells: dict[str, Cell]
    seeds_complete: int
    seeds_planned: int
    models: int
    parameters: int | None
    method: str
    notes: tuple[int, ...] = ()
    tuned: bool = False
    tuning: Tuning | None = NOT_TUNED


@dataclass(frozen=True)
class ComparedRows:
    """One arm against another, with an interval for new seeds and new examples, and a verdict.

    Differences, intervals and margins are fractions.

    Attributes:
        label, reference: of the two rows; ``difference`` is the first minus the second.
        model: of both.
        scope: the task, or ``macro``.
        primary: whether the answer rests on it.
        word: better, worse, equivalent, undecided or unstable.
        difference: of the means over seeds.
        interval: at ``1 - level``, not adjusted for the number of comparisons; of one seed, for
            these models alone.
        equivalence_interval: at ``1 - 2 level``, which lies within the margin where both are
            equivalent.
        level: chance of an error.
        margin: differences up to this are of no consequence.
        p: of no difference, adjusted for all comparisons of its kind (Holm).
        comparisons: how many those are.
        seeds: of the first and of the second row.
        paired_seeds: whether seeds are differenced.
        examples: number of examples, or of groups where they are grouped, the smallest of the
            tasks.
        groups: task -> number of groups, of the tasks whose examples are grouped.
        collapsed: how many runs of each predict one class.
        more_seeds, more_examples, chance: what would settle it, see ``orchestrator.analysis``.
        detectable: the difference that such a grid calls better or worse with a chance of 80 %.
        equivalent_if_equal: the chance that it calls equal arms equivalent. None, as
            ``detectable``, with one seed, with collapsed runs or where the arms always agree.
        delta_m: the relative change; None if not primary.
        sentence: all this in words.
    """

    label: str
    reference: str
    model: str
    scope: str
    primary: bool
    word: str
    difference: float
    interval: tuple[float, float]
    equivalence_interval: tuple[float, float]
    level: float
    margin: float
    p: float
    comparisons: int
    seeds: tuple[int, int]
    paired_seeds: bool
    examples: int
    groups: dict[str, int]
    collapsed: tuple[int, int]
    more_seeds: int | None
    more_examples: int | None
    chance: float | None
    detectable: float | None
    equivalent_if_equal: float | None
    delta_m: RelativeChange | None
    sentence: str


@dataclass(frozen=True)
class Table:
    """Everything that a report shows.

    Attributes:
        split: the split that its numbers were measured on.
        header: name and text of every line above the table.
        tasks: what is known of every task's data.
        columns: the measured columns, in order.
        rows: the baseline first where known, then the plan's arms and models in its order; an arm
            that was tuned has another row for that.
        notes: footnotes, in the order of their numbers.
        differences: rows minus ``single_task`` of the same model, tuned minus tuned, paired by
            seed.
        comparisons: the same rows with intervals and verdicts, of the seeds whose predictions are
            there.
        answers: what they come to, for every model that they are there for.
        passages: can one model replace several? For every model.
        curves: headline metric per epoch.
        learning: headline metric by share of the training data.
        cosines: between the tasks' gradients, where they were measured.
        undefined: keys of the columns that the split's labels leave undefined, for all rows alike.
        look: at which number of seeds, among how many, the comparisons were made; None where there
            are none or nobody says.
        unequal: a sentence for each pair of arms that are compared on unequal terms; None where
            nothing can be compared yet.
        data: what is known of the tasks' data; None in a run directory that does not say.
        costs: what the rows' models cost to deploy; None where that was not measured.
    """

    split: str
    header: tuple[tuple[str, str], ...]
    tasks: tuple[TaskFacts, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[Note, ...]
    differences: tuple[Difference, ...]
    passages: tuple[Passage, ...]
    curves: tuple[Curve, ...]
    learning: tuple[Curve, ...]
    undefined: tuple[str, ...] = ()
    cosines: tuple[Curve, ...] = ()
    comparisons: tuple[ComparedRows, ...] = ()
    answers: tuple[Answer, ...] = ()
    look: LookTaken | None = None
    unequal: tuple[str, ...] | None = None
    data: DataFacts | None = None
    costs: Costs | None = None
    schema_version: int = TABLE_SCHEMA

    @property
    def verdict(self) -> tuple[str, ...]:
        """The passages as plain sentences."""
        return tuple(line for passage in self.passages for line in passage.sentences)

    @property
    def tuned(self) -> bool:
        """Whether a row was tuned."""
        return any(row.tuned for row in self.rows)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is worth a warning about the data."""
        return () if self.data is None else tuple(map(plain, self.data.warnings))

    @property
    def references_differ(self) -> bool:
        """Whether another row than ``single_task`` is subtracted somewhere."""
        return any(entry.reference != REFERENCE for entry in self.differences)


def comparison(
    plan: Sequence[PlannedTrial],
    records: Mapping[str, TrialRecord],
    split: str = "validation",
    data: DataFacts | None = None,
    predictions: Predicted | None = None,
    margins: Mapping[str, float] | None = None,
    look: Look | None = None,
    pair_seeds: bool = False,
    tuned: Tuned | None = None,
) -> Table:
    """Compare the arms of a plan by the records of its trials.

    Args:
        plan: every planned trial, so that missing ones count; records of other trials are ignored.
        records: key -> record.
        split: ``validation``, or ``selection`` or ``test`` where the trials measured them.
        data: what is known of the tasks' data.
        predictions: of the finished trials on ``split``; arms have no interval without.
        margins: task or ``macro`` -> difference of no consequence, a fraction; None: the defaults.
        look: which number of seeds it is, and at which others there is a verdict; None: the only
            one.
        pair_seeds: difference the seeds of two rows where they have the same ones, five or more.
        tuned: what a search spent on the rows that it tuned; None where that is not known.

    Raises:
        ConfigError: the plan is empty, no finished trial measured ``split``, or two trials are
            of the same row, seed and task.
    """
    if not plan:
        raise ConfigError("plan: it has no trials, so there is nothing to compare")
    _check_split(plan, records, split)
    facts = task_facts(plan, records, split)
    sources = table_rows(plan, records, split)
    mismatched = {task for row in sources for run in row.runs for task in run.mismatched}
    measures = columns(sources[0].tasks, mismatched)
    judged = compared(
        sources,
        {fact.name for fact in facts if fact.headline in fact.undefined},
        predictions or {},
        margins or {},
        LEVEL if look is None else look.level,
        LEVEL if look is None else look.next_level,
        pair_seeds=pair_seeds,
    )
    rows, notes = _rows(sources, facts, measures, judged, tuned or {})
    taken = None
    if look is not None and judged:
        pairs = planned_pairs(sources)
        taken = look_taken(look, plan, records, predictions or {}, pairs, judged)
    answers, passages = _answers(sources, judged, taken)
    used = [c for c, _ in measures if c.key != "leak" or any(r.cells["leak"].stat for r in rows)]
    return Table(
        split=split,
        header=(
            *header(plan, records, split, facts, data),
            *_of_verdict(judged, taken),
            *_groups(plan, judged),
            *(_paired(judged) if pair_seeds else ()),
        ),
        tasks=facts,
        columns=tuple(used),
        rows=tuple(rows),
        notes=notes,
        differences=differences(sources),
        comparisons=tuple(map(_compared_rows, judged)),
        look=taken,
        answers=answers,
        passages=passages,
        curves=curves(sources, split),
        learning=learning_curves(sources),
        cosines=cosine_curves(sources),
        undefined=_undefined(sources[0].tasks, facts),
        unequal=unequal_terms(sources, tuned or {}),
        data=data,
    )


def with_cost(table: Table, cost: Cost | None) -> Table:
    """The table beside what its rows' models cost to deploy, which joins the answers.

    Args:
        table: of the same plan.
        cost: what was measured; None: the table stays as it is.
    """
    if cost is None:
        return table
    pairs = [(c.label, c.reference, c.model) for c in table.comparisons if c.primary]
    costs = join(cost, pairs)
    sentences = {answer.passage.sentence: costs.sentence(answer) for answer in table.answers}
    passages = []
    for passage in table.passages:
        text = sentences.get(passage.sentence)
        if text is not None:
            # After the recommendation and the evidence for it.
            first, rest = passage.lines[:2], passage.lines[2:]
            passage = replace(passage, lines=(*first, Line("cost", plain(text)), *rest))
        passages.append(passage)
    return replace(table, costs=costs, passages=tuple(passages))


def _of_verdict(judged: Sequence[Compared], look: LookTaken | None) -> tuple[tuple[str, str], ...]:
    """The header's lines about margins and the look, where anything is compared."""
    margins = {c.scope: f"{100 * c.verdict.comparison.margin:g}" for c in judged}
    text = ", ".join(plain(f"{scope} {points}") for scope, points in margins.items())
    lines = [("margins", f"{text} (points that are of no consequence)")] if judged else []
    return (*lines, *([("look", look.header)] if look is not None else []))


def _groups(
    plan: Sequence[PlannedTrial], judged: Sequence[Compared]
) -> tuple[tuple[str, str], ...]:
    """The header's line about tasks whose examples are grouped, where they are compared."""
    asked = {
        name: task.group
        for trial in plan
        for name, task in trial.config.tasks.items()
        if task.group is not None
    }
    texts = []
    for task, column in asked.items():
        sizes = {c.sizes[task] for c in judged if task in c.sizes}
        for examples, groups in sorted(sizes, key=str):
            known = (
                "that the predictions do not have, so each counts as a draw of its own"
                if groups is None
                else f"that are {groups:,} draws"
            )
            texts.append(plain(f"{task} by {column}: {examples:,} examples {known}"))
    return (("groups", "; ".join(texts)),) if texts else ()


def _paired(judged: Sequence[Compared]) -> tuple[tuple[str, str], ...]:
    """The header's line about pairs of seeds, where they are asked for."""
    alone = dict.fromkeys(
        plain(f"{c.row.label} and {c.reference.label} ({c.model})")
        for c in judged
        if c.primary and not c.paired_seeds
    )
    but = f", but not of {', '.join(alone)}: they need the same {PAIRED_SEEDS} seeds or more"
    return (("pair_seeds", f"seeds are differenced{but if alone else ''}"),) if judged else ()


def _answers(
    rows: Sequence[TableRow], judged: Sequence[Compared], look: LookTaken | None
) -> tuple[tuple[Answer, ...], tuple[Passage, ...]]:
    """For every model its answers, and a passage for each; without predictions, a passage of what
    its scores alone say."""
    looks = [Line("looks", look.sentence)] if look is not None and look.sentence else []
    answers, passages = [], []
    for model in dict.fromkeys(row.model for row in rows):
        own = [c for c in judged if c.model == model]
        groups = [[c for c in own if c.row.tuned == tuned] for tuned in (True, False)]
        made = [answer(group) for group in groups if answered(group)]
        answers += made
        passages += [
            replace(own.passage, lines=(*own.passage.lines, *looks)) for own in made
        ] or map(Passage, verdict([row for row in rows if row.model == model]))
    return tuple(answers), tuple(passages)


def _compared_rows(made: Compared) -> ComparedRows:
    judged, advice = made.verdict, made.advice
    difference = judged.comparison.difference
    seen = difference.variance and not (judged.one_seed or any(judged.comparison.collapsed))
    shared = (judged.level, judged.family)
    return ComparedRows(
        label=plain(made.row.label),
        reference=plain(made.reference.label),
        model=plain(made.model),
        scope=plain(made.scope),
        primary=made.primary,
        word=judged.word,
        difference=difference.value,
        interval=judged.interval,
        equivalence_interval=judged.equivalence_interval,
        level=judged.level,
        margin=judged.comparison.margin,
        p=judged.p,
        comparisons=judged.family,
        seeds=difference.seeds,
        paired_seeds=made.paired_seeds,
        examples=difference.examples,
        groups={plain(t): groups for t, (_, groups) in made.sizes.items() if groups is not None},
        collapsed=judged.comparison.collapsed,
        more_seeds=None if advice is None else advice.seeds,
        more_examples=None if advice is None else advice.examples,
        chance=None if advice is None else advice.chance,
        detectable=detectable(difference, *shared) if seen else None,
        equivalent_if_equal=chance_of_equivalence(difference, judged.comparison.margin, *shared)
        if seen
        else None,
        delta_m=relative_change(made) if made.primary else None,
        sentence=plain(sentence(made)),
    )


def _check_split(
    plan: Sequence[PlannedTrial], records: Mapping[str, TrialRecord], split: str
) -> None:
    ended = [records[trial.key] for trial in plan if trial.key in records]
    measured = sorted({name for record in ended for name in record.results})
    if measured and split not in measured:
        raise ConfigError(f"split={split}: no trial measured it; choose {' or '.join(measured)}")


def _rows(
    sources: Sequence[TableRow],
    facts: Sequence[TaskFacts],
    measures: Sequence[tuple[Column, Measure]],
    judged: Sequence[Compared],
    tuned: Tuned,
) -> tuple[list[Row], tuple[Note, ...]]:
    better = _better(judged, sources[0].tasks)
    labels = notes_of_labels(sources[0].tasks, facts)
    rows, notes = [], list(labels)
    if all(task.majority is not None or task.targets is not None for task in facts):
        rows.append(_row(_baseline(sources[0], facts), measures, labels, baseline=True))
    for source in sources:
        own = notes_of(source, first=len(notes) + 1)
        notes.extend(own)
        row = _row(source, measures, (*labels, *own), better.get(id(source), ()))
        rows.append(replace(row, tuning=tuning_of(source, tuned)))
    return rows, tuple(notes)


def _undefined(tasks: Mapping[str, str], facts: Sequence[TaskFacts]) -> tuple[str, ...]:
    """Keys of the columns that the split's labels leave undefined."""
    keys = [
        f"{name}.{metric}"
        for name, task in zip(tasks, facts, strict=True)
        for metric in task.undefined
    ]
    nothing = all(task.headline in task.undefined for task in facts)
    return (*keys, *(["macro"] if nothing else []))


def _baseline(source: TableRow, facts: Sequence[TaskFacts]) -> TableRow:
    tasks = source.tasks
    results = {name: majority_result(task) for name, task in zip(tasks, facts, strict=True)}
    run = SeedRun(seed=0, trials=(), records=(), results=results)
    every = frozenset(tasks)
    return TableRow("", "majority class", "", "", tasks, every, (run,), source.labels)


def _row(
    source: TableRow,
    measures: Sequence[tuple[Column, Measure]],
    notes: Sequence[Note],
    better: Collection[str] = (),
    baseline: bool = False,
) -> Row:
    """The row that is shown for ``source``; a baseline is no arm and was trained with no seed.

    Args:
        source: the row.
        measures: the columns.
        notes: its footnotes, and those about labels.
        better: keys of the columns in which its values are marked, see ``Cell``.
        baseline: whether it is the baseline.
    """
    cells = {}
    for column, measure in measures:
        marks = [n.number for n in notes if column.task is not None and n.task == column.task]
        shown = tuple(marks) if column.compact else ()
        cells[column.key] = Cell(measure(source), column.key in better, shown)
    return Row(
        label=plain(source.label),
        arm=plain(source.arm),
        strategy=source.strategy,
        model=plain(source.model),
        baseline=baseline,
        cells=cells,
        seeds_complete=0 if baseline else len(source.complete),
        seeds_planned=0 if baseline else len(source.runs),
        models=source.models,
        parameters=source.parameters,
        method="" if baseline else method(_arms(source)),
        notes=tuple(n.number for n in notes if n.task is None),
        tuned=source.tuned,
    )


def _arms(source: TableRow) -> dict[str, ArmConfig]:
    configs = [trial.config for trial in source.runs[0].trials]
    return {task: config.arm for config in configs for task in config.tasks}


def _better(judged: Sequence[Compared], tasks: Mapping[str, str]) -> dict[int, set[str]]:
    """Id of a row -> keys of the columns in which it is better than another one, and none than it.

    Args:
        judged: the comparisons.
        tasks: task -> headline metric, the one that is compared.
    """
    columns = {task: [f"{task}.{metric}"] for task, metric in tasks.items()} | {MACRO: ["macro"]}
    for alone in {c.scope for c in judged if c.primary} - {MACRO}:
        columns[alone].append("macro")
    won, lost = set[tuple[int, str]](), set[tuple[int, str]]()
    for c in judged:
        if c.verdict.word in (Word.BETTER, Word.WORSE):
            ends = [(id(row), c.scope) for row in (c.row, c.reference)]
            winner, loser = ends if c.verdict.word is Word.BETTER else reversed(ends)
            won.add(winner)
            lost.add(loser)
    marked: dict[int, set[str]] = {}
    for row, scope in won - lost:
        marked.setdefault(row, set()).update(columns[scope])
    return marked
