"""The ``submission`` command: GLUE's files of answers from what trials predict for its test."""

import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orchestrator.commands.chosen_trials import (
    chosen_trials,
    empty_folder,
    finished_record,
    glue_dir_of,
    train_again,
)
from orchestrator.commands.report import shown
from orchestrator.planning.plan import PlannedTrial
from orchestrator.run_dir.directory import read_plan
from orchestrator.run_dir.remote import Where, run_dir_at
from trainables.atomic import sync_folder, write_text
from trainables.config.trial import Runtime
from trainables.data.glue_dir import LAYOUTS
from trainables.data.glue_test import ANSWER_FILES, answers, glue_tasks
from trainables.errors import ConfigError, DataError, RunDirectoryError
from trainables.results.record import TrialRecord, read_records
from trainables.storage.run_dir import RunDir
from trainables.trial.glue_predictions import (
    TestPredictions,
    load_tests,
    predict_saved,
    read_test_predictions,
)

ZIP = "submission.zip"


@dataclass(frozen=True)
class Submission:
    """The files that were written.

    Attributes:
        folder: where they are.
        title: whose predictions they hold.
        answered: file -> number of examples and the trial that predicts them.
        filled: file -> the constant that stands in it, and why.
        left_out: tasks of the trials that are none of GLUE's.
    """

    folder: Path
    title: str
    answered: Mapping[str, tuple[int, str]]
    filled: Mapping[str, tuple[str, str]]
    left_out: Sequence[str]


def submission(
    where: Where,
    arm: str,
    out: Path | str,
    *,
    model: str | None = None,
    seed: int | None = None,
    tuned: bool = False,
    zipped: bool = False,
) -> Submission:
    """Write the files that GLUE's evaluation server takes, from one seed of an arm.

    Predictions come from ``training.predict_test=true``, else from saved models. The files of tasks
    that the arm was not trained on hold a constant, as the server wants all of them.

    Args:
        where: a run directory, a path or a URL.
        arm: the arm.
        out: the folder, which must be empty or not exist.
        model: the model; None where there is only one.
        seed: the seed; None for the first of the plan.
        tuned: whether the arm's settings are those that a search found.
        zipped: whether to write ``submission.zip`` too.

    Raises:
        ConfigError: there is no such arm, model or seed, or no task of GLUE in it.
        RunDirectoryError: a trial has not finished, or left neither predictions nor a model.
        DataError: a test file has not as many examples as GLUE's, or two tasks are the same.
    """
    run_dir = run_dir_at(where)
    name = run_dir.url or shown(run_dir.root)
    if not run_dir.plan.is_file():
        raise RunDirectoryError(f"{name}: no run directory (plan.json is missing)")
    folder = empty_folder(out)
    trials = chosen_trials(read_plan(run_dir), arm, model, seed, tuned)
    records = read_records(run_dir, {})
    tasks = {name: task for t in trials for name, task in t.config.tasks.items()}
    sources = {name: source for t in trials for name, source in t.config.sources.items()}
    glue = glue_tasks(tasks, sources)
    contents: dict[str, str] = {}
    answered: dict[str, tuple[int, str]] = {}
    for trial in trials:
        if glue.keys() & trial.config.tasks.keys():
            made = _contents(
                run_dir, name, trial, finished_record(records.get(trial.key), trial, name)
            )
            contents |= made
            answered |= {file: (ANSWER_FILES[file].examples, trial.key) for file in made}
    left_out = [name for name in tasks if name not in glue]
    if not answered:
        raise ConfigError(
            f"{name}: {arm} was trained on {', '.join(left_out)}, none of which is GLUE's, read "
            "from its download or the Hub"
        )
    filled = _filled(answered)
    for file, (constant, _) in filled.items():
        contents[file] = _lines([constant] * ANSWER_FILES[file].examples)
    _write(folder, {file: contents[file] for file in ANSWER_FILES}, zipped)
    first = trials[0].config
    title = f"{arm}{' tuned' * tuned} {first.model_name} seed {first.seed}"
    return Submission(folder, title, answered, filled, left_out)


def _contents(
    run_dir: RunDir, name: str, trial: PlannedTrial, record: TrialRecord
) -> dict[str, str]:
    """File -> content, of all that a trial answers."""
    predictions = _predictions(run_dir, name, trial)
    contents = {}
    for task, glue in glue_tasks(trial.config.tasks, trial.config.sources).items():
        for file, own in ANSWER_FILES.items():
            if own.task != glue:
                continue
            if file in predictions:
                contents[file] = _answers(trial, record, task, file, predictions[file])
            elif not own.optional:
                raise RunDirectoryError(
                    f"{run_dir.test_predictions(trial.key)}: has no predictions of {file}; delete "
                    f"it and {run_dir.record(trial.key)}, and run the experiment again"
                )
    return contents


def _filled(answered: Mapping[str, object]) -> dict[str, tuple[str, str]]:
    """File -> the constant that stands in it, and why, of all that no trial answers."""
    filled = {}
    for file, own in ANSWER_FILES.items():
        if file not in answered:
            trained = any(ANSWER_FILES[other].task == own.task for other in answered)
            reason = f"{own.file} was not there" if trained else "no task of the arm answers it"
            filled[file] = (next(iter(LAYOUTS[own.task].labels), "0.0000"), reason)
    return filled


def _predictions(run_dir: RunDir, name: str, trial: PlannedTrial) -> TestPredictions:
    """What a trial predicted, else what its saved model does."""
    predictions = read_test_predictions(run_dir, trial.key)
    if predictions is not None:
        return predictions
    folder = run_dir.model(trial.key)
    run_dir.fetch_folder(folder)
    if folder.is_dir():
        glue_dir = glue_dir_of(run_dir)
        tests = load_tests(trial.config, glue_dir)
        runtime = Runtime(output_dir=str(run_dir.root), glue_dir=glue_dir)
        return predict_saved(folder, trial.config, runtime, tests)
    raise RunDirectoryError(
        f"{name}: {trial.config.title} ({trial.key}) left no predictions on test and no model; "
        "make them in another run directory: "
        f"{train_again(run_dir, name, trial, 'training.predict_test=true', 'test')}"
    )


def _answers(
    trial: PlannedTrial, record: TrialRecord, task: str, file: str, predictions: np.ndarray
) -> str:
    """One file, each prediction as GLUE writes it."""
    config, expected = trial.config, ANSWER_FILES[file].examples
    if len(predictions) != expected:
        raise DataError(
            f"{file}: {len(predictions)} test examples were predicted and GLUE has {expected}; "
            "train on GLUE's own files"
        )
    if config.tasks[task].kind == "regression":
        return _lines(f"{score:.4f}" for score in np.clip(predictions, 0, 5))
    names = answers(config.tasks[task], config.sources[task], record.labels[task])
    return _lines(names[int(predicted)] for predicted in predictions)


def _lines(written: Iterable[str]) -> str:
    rows = (f"{index}\t{answer}\n" for index, answer in enumerate(written))
    return "".join(["index\tprediction\n", *rows])


def _write(folder: Path, contents: Mapping[str, str], zipped: bool) -> None:
    """Write all files, or none."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
        temporary = Path(name) / folder.name
        temporary.mkdir()
        for file, content in contents.items():
            write_text(temporary / f"{file}.tsv", content)
        if zipped:
            with zipfile.ZipFile(temporary / ZIP, "w", zipfile.ZIP_DEFLATED) as archive:
                for file, content in contents.items():
                    # A date of its own would make other bytes each time.
                    archive.writestr(zipfile.ZipInfo(f"{file}.tsv"), content, zipfile.ZIP_DEFLATED)
        temporary.replace(folder)
    sync_folder(folder.parent)
