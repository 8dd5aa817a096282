"""What a model card says of a trial's data, scores and comparison, from the report's own code."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.commands.report import read_predictions, table_of
from orchestrator.deploy.card import CardFacts, DataSource, Score
from orchestrator.planning.plan import PlannedTrial
from orchestrator.report.columns import metric_title, metric_unit
from orchestrator.report.comparisons import half_width
from orchestrator.report.table import Row, Table
from orchestrator.run_dir.looks import look_at, planned_looks
from orchestrator.text import number, plain
from trainables.config.trial import ModelConfig
from trainables.models.embedded import ALIASES
from trainables.models.source import local_folder
from trainables.results.record import TrialRecord
from trainables.storage.run_dir import RunDir


def card_facts(
    run_dir: RunDir,
    plan: Sequence[PlannedTrial],
    records: Mapping[str, TrialRecord],
    trials: Sequence[PlannedTrial],
) -> CardFacts:
    """Collect the facts of the trials of one arm, model and seed.

    Args:
        run_dir: the run directory.
        plan: all of its trials.
        records: key -> record.
        trials: those that are exported, which have finished.
    """
    predictions, _ = read_predictions(run_dir, plan, records, keep=False)
    look = look_at(run_dir, plan, planned_looks(run_dir))
    table = table_of(run_dir, plan, records, predictions, look)
    config = trials[0].config
    [row] = [
        row
        for row in table.rows
        if not row.baseline
        and (row.arm, row.model) == (plain(config.arm_name), plain(config.model_name))
        and row.tuned == config.tuned
    ]
    encoder, base_model = _encoder(config.model)
    return CardFacts(
        method=row.method,
        encoder=encoder,
        base_model=base_model,
        licence=_licence(config.model, base_model),
        sources=[
            _source(task, trial, records[trial.key])
            for trial in trials
            for task in trial.config.tasks
        ],
        scores=[
            score
            for trial in trials
            for score in _scores(records[trial.key], predictions.get(trial.key, {}), row)
        ],
        verdict=_verdict(table, row),
    )


def _scores(record: TrialRecord, predictions: Mapping[str, Any], row: Row) -> Iterator[Score]:
    for task, result in record.results["validation"].items():
        for metric, value in result.scores().items():
            if value is None:
                continue
            unit, text = metric_unit(metric), number(value, metric_unit(metric))
            if task in predictions:
                width = half_width(result, metric, predictions[task])
                low, high = (number(value + side * width, unit) for side in (-1, 1))
                text += f" [{low}, {high}]"
            f1_of = record.f1.get(task, "").removeprefix("F1") if metric == "f1" else ""
            yield Score(
                task, metric, value, metric_title(metric), text, _of_seeds(row, task, metric), f1_of
            )


def _of_seeds(row: Row, task: str, metric: str) -> str:
    """Mean and standard deviation over the seeds of a row."""
    cell = row.cells.get(f"{task}.{metric}")
    if cell is None or cell.stat is None:
        return "–"
    unit = metric_unit(metric)
    spread = "" if cell.stat.std is None else f" ±{number(cell.stat.std, unit)}"
    return f"{number(cell.stat.mean, unit)}{spread} ({cell.stat.n})"


def _verdict(table: Table, row: Row) -> list[str]:
    """What the comparison says of a row's model, and of the row."""
    answers = [a for a in table.answers if a.model == row.model and a.tuned == row.tuned]
    said = [
        comparison.sentence
        for comparison in table.comparisons
        if comparison.model == row.model and row.label in (comparison.label, comparison.reference)
    ]
    if not answers and not said:
        return list(table.verdict)
    return [*(answer.passage.sentence for answer in answers), *said]


def _source(task: str, trial: PlannedTrial, record: TrialRecord) -> DataSource:
    config, source = trial.config.tasks[task], trial.config.sources[task]
    # GLUE's download is the Hub's data set.
    hub = config.hub if source in ("hub", "glue_dir") else None
    sizes = record.examples_per_split[task]
    validation = hub.validation if hub is not None else None
    return DataSource(
        task=task,
        origin=record.origins[task],
        dataset=task if hub is None else hub.name,
        on_hub=hub is not None,
        config=None if hub is None else hub.config,
        split=validation if isinstance(validation, str) else None,
        train=sizes["train"],
        validation=sizes["validation"],
    )


def _encoder(model: ModelConfig) -> tuple[str, str | None]:
    """An encoder in words, and its name on the Hub."""
    layers = "" if model.num_layers is None else f", its first {model.num_layers} layers"
    if model.weights == "random":
        return f"{model.encoder} with random weights{layers}", None
    if model.encoder in ALIASES:
        return f"{ALIASES[model.encoder].hub}{layers}", ALIASES[model.encoder].hub
    if Path(model.encoder).expanduser().exists():
        return f"{Path(model.encoder).name} (a folder){layers}", None
    return f"{model.encoder}{layers}", model.encoder


def _licence(model: ModelConfig, repository: str | None) -> str | None:
    """What the card of an encoder says; None where it is not on this machine, or says nothing."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.repocard import metadata_load

    folder = local_folder(model)
    path = None if folder is None else folder / "README.md"
    if path is None and repository is not None:
        cached = try_to_load_from_cache(repository, "README.md", revision=model.revision)
        path = Path(cached) if isinstance(cached, str) else None
    if path is None or not path.is_file():
        return None
    try:
        licence = (metadata_load(path) or {}).get("license")
    except (OSError, ValueError):
        return None
    return licence if isinstance(licence, str) else None
