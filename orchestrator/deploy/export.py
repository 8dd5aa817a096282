"""Writes exports: each is checked in a temporary folder, which then takes its name."""

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from orchestrator.deploy.card import CardFacts, model_card
from orchestrator.deploy.check import TaskExamples, check, refuse
from orchestrator.deploy.formats import FORMATS, Format
from orchestrator.deploy.manifest import (
    PACKAGES,
    Collection,
    Comparison,
    ExportedModel,
    ExportedTask,
    Origin,
    product_version,
    sha256_of,
    write_manifest,
)
from orchestrator.deploy.saved_model import SavedModel, read_saved_model
from trainables.atomic import sync_folder
from trainables.errors import ConfigError

README = "README.md"


@dataclass(frozen=True)
class TrainedModel:
    """A trial whose model is to be exported.

    Attributes:
        folder: ``models/KEY``.
        origin: the trial.
        examples: task -> its validation examples, of the tasks that are exported.
        batch_size: examples per batch of the evaluation.
    """

    folder: Path
    origin: Origin
    examples: Mapping[str, TaskExamples]
    batch_size: int


def export_models(
    models: Sequence[TrainedModel],
    out: Path,
    format_name: str,
    facts: CardFacts,
    on_examples: Callable[[int], None] = lambda count: None,
) -> dict[str, ExportedModel]:
    """Write models into ``out``, all or none.

    One model has ``out`` to itself; several, or one of a format with a folder for each task, have
    folders in it.

    Args:
        models: the trials.
        out: the folder, which must be empty or not exist.
        format_name: of ``FORMATS``.
        facts: for the model cards.
        on_examples: see ``check``.

    Returns:
        Folder below ``out`` (``.`` for itself) -> what is in it.

    Raises:
        EncoderError: a saved model cannot be read, or an export does not answer as it should.
        ConfigError: the format is refused for a model.
    """
    format = FORMATS[format_name]
    nested = format.per_task or len(models) > 1
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as name:
        temporary = Path(name) / out.name
        temporary.mkdir()
        made: dict[str, ExportedModel] = {}
        for trained in models:
            for tasks, saved in _parts(trained, format, format_name):
                inside = _free_name(tasks[0], made) if nested else "."
                (temporary / inside).mkdir(exist_ok=True)
                made[inside] = _export(
                    saved, trained, temporary / inside, format_name, facts, on_examples
                )
        if nested:
            folders = {task: inside for inside, own in made.items() for task in own.tasks}
            write_manifest(temporary, Collection(version=product_version(), models=folders))
        _sync(temporary)
        temporary.replace(out)
    sync_folder(out.parent)
    return made


def _parts(
    trained: TrainedModel, format: Format, format_name: str
) -> Iterator[tuple[list[str], SavedModel]]:
    """The tasks and the model of each folder that a trial becomes."""
    saved = read_saved_model(trained.folder)
    tasks = list(trained.examples)
    for task in tasks:
        if reason := format.refusal(saved, task):
            others = [n for n, f in FORMATS.items() if not f.refusal(saved, task)]
            raise ConfigError(
                f"--format {format_name}: cannot be used for {trained.origin.arm} "
                f"{trained.origin.model}: {reason}; formats that can: {', '.join(others)}"
            )
    for own in [[task] for task in tasks] if format.per_task else [tasks]:
        yield own, saved.of(own)


def _export(
    saved: SavedModel,
    trained: TrainedModel,
    folder: Path,
    format_name: str,
    facts: CardFacts,
    on_examples: Callable[[int], None],
) -> ExportedModel:
    """Write one model into an empty folder, and check it."""
    format = FORMATS[format_name]
    format.write(saved, folder)
    tasks = {
        name: ExportedTask(labels=tuple(own["labels"]), texts=own["texts"], prefix=own["prefix"])
        for name, own in saved.description["tasks"].items()
    }
    export = format.open(folder, tasks, "cpu")
    other_ways = {name: partial(answer, folder) for name, answer in format.other_ways.items()}
    checks: dict[str, tuple[Comparison, ...]] = {}
    for task in tasks:
        examples = trained.examples[task]
        comparisons = check(
            saved,
            export,
            task,
            examples,
            batch_size=trained.batch_size,
            other_ways=other_ways,
            on_examples=on_examples,
        )
        refuse(task, trained.origin, comparisons, examples, format.tolerance)
        checks[task] = tuple(comparisons)
    manifest = ExportedModel(
        version=product_version(),
        packages={package: version(package) for package in PACKAGES},
        format=format_name,
        origin=trained.origin,
        max_length=saved.description["max_length"],
        tasks=tasks,
        checks=checks,
        sha256={
            path.name: sha256_of(path)
            for path in sorted(folder.iterdir())
            if path.suffix in WEIGHTS
        },
    )
    write_manifest(folder, manifest)
    (folder / README).write_text(
        model_card(manifest, facts, format.usage(tasks), format.library), encoding="utf-8"
    )
    return manifest


WEIGHTS = (".safetensors", ".onnx", ".data")
"""Endings of files with weights."""


def _free_name(task: str, taken: Mapping[str, object]) -> str:
    """A folder's name for a task, whatever characters that has."""
    name = re.sub(r"[^\w.-]", "_", task).lstrip(".") or "task"
    while name in taken:
        name += "_"
    return name


def _sync(folder: Path) -> None:
    """Flush a folder's files to the disk, readable by whom the umask lets read."""
    umask = os.umask(0)
    os.umask(umask)
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o666 & ~umask)
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            sync_folder(path)
    sync_folder(folder)
