"""The ``export`` command: trained models as folders that can be used without this project."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from orchestrator.commands.chosen_trials import (
    chosen_trials,
    empty_folder,
    finished_record,
    glue_dir_of,
    train_again,
)
from orchestrator.commands.export_facts import card_facts
from orchestrator.commands.report import shown
from orchestrator.deploy.check import TaskExamples, answers_of
from orchestrator.deploy.export import TrainedModel, export_models
from orchestrator.deploy.formats import FORMATS
from orchestrator.deploy.hub import check_login, push, repositories
from orchestrator.deploy.manifest import ExportedModel, Origin
from orchestrator.planning.plan import PlannedTrial
from orchestrator.run_dir.directory import read_plan
from orchestrator.run_dir.remote import Where, run_dir_at
from trainables.config.explain import nearest
from trainables.data.planned import load_planned
from trainables.errors import ConfigError, DataError, InputError, RunDirectoryError
from trainables.results.predictions import read_logits
from trainables.results.record import TrialRecord, read_records
from trainables.storage.run_dir import RunDir

SPLIT = "validation"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: where it is.
        title: whose model it is.
        models: folder below it (``.`` for itself) -> what is in it.
        addresses: of the repositories on the Hub that it was uploaded to.
    """

    folder: Path
    title: str
    models: Mapping[str, ExportedModel]
    addresses: Sequence[str] = field(default=())


def export(
    where: Where,
    arm: str,
    out: Path | str,
    *,
    format: str = "bundle",
    model: str | None = None,
    seed: int | None = None,
    tuned: bool = False,
    task: str | None = None,
    push_to_hub: str | None = None,
    private: bool = False,
    console: Console | None = None,
) -> Exported:
    """Export one seed of an arm from the models that ``save_models=true`` left.

    Every validation example is answered by the saved model and by the export, read back from its
    files, before the folder is there.

    Args:
        where: a run directory, a path or a URL.
        arm: the arm.
        out: the folder, which must be empty or not exist.
        format: of ``orchestrator.deploy.formats.FORMATS``.
        model: the model; None where there is only one.
        seed: the seed; None for the first of the plan.
        tuned: whether the arm's settings are those that a search found.
        task: the only task to export; None for all.
        push_to_hub: repository on the Hub to upload the export to, once it is complete; models
            that have folders of their own get ``NAME-FOLDER``.
        private: whether a new repository is private.
        console: where progress is shown.

    Raises:
        ConfigError: there is no such arm, model, seed, task or format, the format cannot be used
            for the model, or the Hub refuses.
        RunDirectoryError: a trial has not finished, or left no model.
        DataError: the validation examples cannot be read, or have changed.
        EncoderError: a saved model is damaged, or the export does not answer as it does.
    """
    run_dir = run_dir_at(where)
    name = run_dir.url or shown(run_dir.root)
    if not run_dir.plan.is_file():
        raise RunDirectoryError(f"{name}: no run directory (plan.json is missing)")
    if format not in FORMATS:
        raise ConfigError(f"--format {format}: is no format{nearest(format, list(FORMATS))}")
    folder = empty_folder(out)
    plan = read_plan(run_dir)
    trials = _of_task(chosen_trials(plan, arm, model, seed, tuned), task)
    if push_to_hub is not None:
        check_login(push_to_hub)
    records = read_records(run_dir, {})
    chosen = {trial.key: finished_record(records.get(trial.key), trial, name) for trial in trials}
    for trial in trials:
        run_dir.fetch_folder(run_dir.model(trial.key))
        if not run_dir.model(trial.key).is_dir():
            again = train_again(run_dir, name, trial, "save_models=true", "models")
            raise RunDirectoryError(
                f"{name}: {trial.config.title} ({trial.key}) left no model; train it in another "
                f"run directory: {again}"
            )
    models = [_trained(run_dir, trial, chosen[trial.key], task) for trial in trials]
    facts = card_facts(run_dir, plan, records, trials)
    with _progress(models, console) as advance:
        made = export_models(models, folder, format, facts, advance)
    addresses = _pushed(folder, made, push_to_hub, private)
    first = trials[0].config
    title = f"{arm}{' tuned' * tuned} {first.model_name} seed {first.seed}"
    return Exported(folder, title, made, addresses)


def _of_task(trials: Sequence[PlannedTrial], task: str | None) -> list[PlannedTrial]:
    """The trials that were trained on a task.

    Raises:
        ConfigError: there is none.
    """
    if task is None:
        return list(trials)
    names = list(dict.fromkeys(name for trial in trials for name in trial.config.tasks))
    if task not in names:
        raise ConfigError(f"--task {task}: the arm was not trained on it{nearest(task, names)}")
    return [trial for trial in trials if task in trial.config.tasks]


def _trained(
    run_dir: RunDir, trial: PlannedTrial, record: TrialRecord, task: str | None
) -> TrainedModel:
    """A trial with its validation examples and what it said of them.

    Raises:
        DataError: the data cannot be read, or is not what the trial was planned with.
        RunDirectoryError: the predictions are missing or damaged.
    """
    config = trial.config
    logits = read_logits(run_dir, record, SPLIT)
    examples = {}
    for name in config.tasks if task is None else [task]:
        try:
            texts = load_planned(name, config, glue_dir_of(run_dir)).splits[SPLIT].texts
        except InputError as error:
            raise DataError(
                f"{error}; an export is checked on its validation examples, so the data must be "
                "where it was (GLUE also where GLUE_DIR says)"
            ) from error
        if len(texts) != len(logits[name]):
            raise RunDirectoryError(
                f"{run_dir.predictions(trial.key)}: has {len(logits[name])} predictions of {name}, "
                f"which has {len(texts)} validation examples; train the trial again"
            )
        examples[name] = TaskExamples(texts, logits[name])
    origin = Origin(
        arm=config.arm_name,
        model=config.model_name,
        seed=config.seed,
        tuned=config.tuned,
        key=trial.key,
        precision=record.precision,
    )
    return TrainedModel(run_dir.model(trial.key), origin, examples, config.training.eval_batch_size)


@contextmanager
def _progress(models: Sequence[TrainedModel], console: Console | None) -> Iterator:
    """Show how many answers are checked; gives what is called with how many more were."""
    total = sum(answers_of(len(own.texts)) for m in models for own in m.examples.values())
    with Progress(
        console=console, transient=True, disable=console is None or not console.is_terminal
    ) as progress:
        bar = progress.add_task("checking answers", total=total)
        yield lambda count: progress.advance(bar, count)


def _pushed(
    folder: Path, made: Mapping[str, ExportedModel], name: str | None, private: bool
) -> list[str]:
    """Upload an export that is complete; gives the addresses.

    Raises:
        ConfigError: the Hub refuses; the folder stays.
    """
    if name is None:
        return []
    try:
        return [
            push(folder / inside, repository, private=private)
            for inside, repository in repositories(made, name).items()
        ]
    except ConfigError as error:
        raise ConfigError(
            f"{error}; the export is complete in {folder}, to be uploaded with: hf upload"
        ) from error
