"""Puts the report of a grid together: ``report.html`` and the files of ``figures/``."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from orchestrator.planning.grid import glue_folder
from orchestrator.report.comparisons import Predicted
from orchestrator.report.curve_charts import (
    MOST_SEEDS,
    cosine_charts,
    epoch_charts,
    epochs_figure,
    learning_charts,
    seeds_left_out,
)
from orchestrator.report.markup import LEGEND
from orchestrator.report.page.confusions import MOST_MATRICES, Confusion, confusions
from orchestrator.report.page.disagreements import MOST_LISTS, Disagreement, disagreements
from orchestrator.report.page.forest import forest_charts, forest_figure
from orchestrator.report.page.quality_cost import quality_cost_charts, quality_cost_figure
from orchestrator.report.page.reproduction import (
    commands,
    environment_lines,
    stored_config,
)
from orchestrator.report.page.texts import NOT_ASKED, Texts, read_texts
from orchestrator.report.render import templates
from orchestrator.report.rows import PlannedTrial, TableRow, table_rows
from orchestrator.report.svg import image_files
from orchestrator.report.table import Table
from orchestrator.report.views import (
    EQUAL_TERMS,
    compact,
    cosines,
    cost,
    cost_text,
    detailed,
    difference,
    equal_terms,
    learning,
    methods,
    power,
    terms_text,
    verdicts,
)
from orchestrator.run_dir.directory import read_environment
from orchestrator.text import duration
from trainables.atomic import replacing, write_text
from trainables.results.record import TrialRecord
from trainables.storage.run_dir import RunDir

MOST_COMPARISONS = 60
"""That are drawn and listed; ``table.json`` has all."""
MOST_NOTES = 100
"""Footnotes on a page; ``table.md`` has all."""


@dataclass(frozen=True)
class Content:
    """What the page shows beside the table.

    Attributes:
        confusions: of every arm, model and task.
        disagreements: of models and tasks, the first ``MOST_LISTS``.
        disagreements_left_out: how many there are more.
        texts: of the listed examples; None where they were not asked for.
        environment: name and text of what the grid ran with.
        commands: that run it again.
    """

    confusions: Sequence[Confusion] = ()
    disagreements: Sequence[Disagreement] = ()
    disagreements_left_out: int = 0
    texts: Texts | None = None
    environment: Sequence[tuple[str, str]] = ()
    commands: Sequence[str] = ()


def content_of(
    run_dir: RunDir,
    plan: Sequence[PlannedTrial],
    records: Mapping[str, TrialRecord],
    predictions: Predicted,
    split: str,
    *,
    texts: bool,
) -> Content:
    """Collect what the page shows beside the table.

    Args:
        run_dir: where its configuration and environment are read.
        plan, records, predictions, split: see ``comparison``.
        texts: whether the listed examples are shown with their texts, read from the data.
    """
    rows = table_rows(plan, records, split)
    disputed = disagreements(rows, predictions)
    listed = disputed[:MOST_LISTS]
    known, config = read_environment(run_dir), stored_config(run_dir)
    glue_dir = glue_folder(None if config is None else config.data.glue_dir)
    return Content(
        confusions=confusions(rows),
        disagreements=listed,
        disagreements_left_out=len(disputed) - len(listed),
        texts=read_texts(plan, listed, glue_dir) if texts else None,
        environment=(*environment_lines(known), *_trained(rows)),
        commands=commands(config, known),
    )


def _trained(rows: Sequence[TableRow]) -> list[tuple[str, str]]:
    """When the trials were trained and what that took, from their records."""
    records = [record for row in rows for run in row.runs for record in run.records]
    times = [time for record in records for time in (record.started, record.finished) if time]
    if not times:
        return []
    seconds = sum(record.train_seconds + record.eval_seconds for record in records)
    return [
        ("trained", f"{min(times)} to {max(times)} (UTC)"),
        ("time of all trials", f"{duration(seconds)}, evaluation included"),
    ]


def report_html(table: Table, content: Content = Content()) -> str:
    """One page that needs nothing else: no font, picture or script from elsewhere.

    Its one script, the filter of the examples, is named by its hash, so that no other one can run.
    """
    environment = templates()
    source = environment.loader
    assert source is not None
    script = source.get_source(environment, "filter.js")[0]
    shown = table.comparisons[:MOST_COMPARISONS]
    notes = [note for note in table.notes if note.kind != "labels"]
    notes_of_labels = [note for note in table.notes if note.kind == "labels"]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return environment.get_template("report.html.j2").render(
        table=table,
        content=content,
        script=Markup(script),
        script_hash=f"sha256-{digest}",
        compact=compact(table),
        marked=any(cell.better for row in table.rows for cell in row.cells.values()),
        legend=LEGEND,
        methods=methods(table),
        forest=forest_charts(shown),
        verdicts=verdicts(shown),
        power=power(shown),
        comparisons_left_out=len(table.comparisons) - len(shown),
        epoch_charts=epoch_charts(table.curves),
        most_seeds=MOST_SEEDS if seeds_left_out(table.curves) else None,
        learning=learning(table),
        learning_charts=learning_charts(table.learning),
        equal_terms=equal_terms(table),
        equal_terms_text=(*terms_text(table), EQUAL_TERMS),
        cost=None if table.costs is None else cost(table),
        cost_text=cost_text(table),
        cost_charts=quality_cost_charts(table),
        cosines=cosines(table),
        cosine_charts=cosine_charts(table.cosines),
        confusions=_by_task(content.confusions[:MOST_MATRICES]),
        confusions_left_out=len(content.confusions[MOST_MATRICES:]),
        not_asked=NOT_ASKED,
        notes_of_runs=notes[:MOST_NOTES],
        notes_of_labels=notes_of_labels,
        notes_left_out=len(notes[MOST_NOTES:]),
        linked={note.number for note in (*notes[:MOST_NOTES], *notes_of_labels)},
        difference=difference(table),
        detailed=detailed(table),
    )


def _by_task(matrices: Iterable[Confusion]) -> list[tuple[str, list[Confusion]]]:
    tasks: dict[str, list[Confusion]] = {}
    for matrix in matrices:
        tasks.setdefault(matrix.task, []).append(matrix)
    return list(tasks.items())


def figures(table: Table) -> dict[str, bytes]:
    """The figures as files: name, such as ``forest.svg`` -> content; without those of nothing."""
    drawn = {}
    if table.comparisons:
        drawn["forest"] = forest_figure(table.comparisons[:MOST_COMPARISONS])
    if table.curves:
        drawn["learning_curves"] = epochs_figure(table.curves)
    quality_cost = quality_cost_figure(table)
    if quality_cost is not None:
        drawn["quality_cost"] = quality_cost
    return {
        f"{name}.{ending}": image
        for name, (draw, width, height) in drawn.items()
        for ending, image in image_files(draw, name, width, height).items()
    }


def write_report(run_dir: RunDir, table: Table, content: Content) -> None:
    """Write ``report.html`` and ``figures/``, each file atomically."""
    write_text(run_dir.report, report_html(table, content))
    # Of an earlier version, which had another page in its place.
    run_dir.table("html").unlink(missing_ok=True)
    images = figures(table)
    for path in run_dir.figures:
        if path.name in images:
            path.parent.mkdir(exist_ok=True)
            with replacing(path) as temporary:
                temporary.write_bytes(images[path.name])
        else:
            # Of an earlier report, whose records or predictions are gone.
            path.unlink(missing_ok=True)
