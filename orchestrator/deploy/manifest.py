"""``export.json``: what an exported model is, how it was checked, and the sums of its files."""

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from orchestrator.deploy.predictor import TaskOutput
from orchestrator.run_dir.environment import git_commit
from trainables.atomic import read_whole
from trainables.config.base import Settings
from trainables.errors import EncoderError

MANIFEST = "export.json"
MANIFEST_SCHEMA = 1
PACKAGES = ("torch", "transformers", "tokenizers", "safetensors")
COLLECTION = "collection"
"""Format of a folder that has a folder for each of several models."""


class Origin(Settings):
    """Which trial a model was trained by.

    Attributes:
        arm, model, seed, tuned: of the trial; ``tuned``: a search found its settings.
        key: of the trial.
        precision: number format that it was trained and evaluated in.
    """

    arm: str
    model: str
    seed: int
    tuned: bool
    key: str
    precision: str


class ExportedTask(Settings):
    """A task of an exported model, see ``TaskOutput``."""

    labels: tuple[str, ...]
    texts: Literal[1, 2]
    prefix: str = ""

    @property
    def output(self) -> TaskOutput:
        """The same as a predictor says it."""
        return TaskOutput(self.labels, self.texts, self.prefix)


class DifferentRow(Settings):
    """An example that is answered in another way.

    Attributes:
        row: its number among the validation examples, from 0.
        expected, predicted: labels.
        margin: how much larger the expected label's logit was than the next.
    """

    row: int
    expected: str
    predicted: str
    margin: float


class Comparison(Settings):
    """An exported model beside something that should answer the same.

    Attributes:
        beside: ``saved model``: in the batches of evaluation; ``other batches``: the same, in
            batches of other sizes and lengths; ``record``: what the trial predicted; or another
            way to use the files, such as ``pipeline``.
        examples: how many were compared.
        largest_difference: of two logits.
        different: the examples that get another label.
    """

    beside: str
    examples: int
    largest_difference: float
    different: tuple[DifferentRow, ...]


class ExportedModel(Settings):
    """Content of ``export.json`` beside a model.

    Attributes:
        version: of the product that wrote it.
        packages: name -> version of the libraries that wrote it.
        format: see ``formats.FORMATS``.
        origin: the trial.
        max_length: tokens of an example; a longer one is cut.
        tasks: task -> what is said of it.
        checks: task -> comparisons on its validation examples.
        sha256: file -> hexadecimal SHA-256, of the files with weights.
    """

    schema_version: Literal[1] = MANIFEST_SCHEMA
    version: str
    packages: dict[str, str]
    format: str
    origin: Origin
    max_length: int
    tasks: dict[str, ExportedTask]
    checks: dict[str, tuple[Comparison, ...]]
    sha256: dict[str, str]


class Collection(Settings):
    """Content of ``export.json`` above the folders of several models.

    Attributes:
        version: of the product that wrote it.
        models: task -> name of the folder of its model.
    """

    schema_version: Literal[1] = MANIFEST_SCHEMA
    version: str
    format: Literal["collection"] = COLLECTION
    models: dict[str, str]


def write_manifest(folder: Path, manifest: ExportedModel | Collection) -> None:
    """Write ``export.json`` into a folder that is not in use yet."""
    text = manifest.model_dump_json(indent=1)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> ExportedModel | Collection:
    """Read ``export.json``.

    Raises:
        EncoderError: it is missing, damaged or of another version.
    """
    path = folder / MANIFEST
    try:
        content = read_whole(path)
        several = json.loads(content).get("format") == COLLECTION
        return (Collection if several else ExportedModel).model_validate_json(content)
    except OSError as error:
        raise EncoderError(f"{path}: cannot be read ({error.strerror}); export again") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise EncoderError(f"{path}: {where}: {first['msg']}; export again") from error
    except (ValueError, RecursionError, AttributeError) as error:
        raise EncoderError(f"{path}: damaged ({error}); export again") from error


def product_version() -> str:
    """The installed version of this project, else the commit of its checkout, else ``unknown``."""
    try:
        return version("one-model-or-many")
    except PackageNotFoundError:
        return git_commit() or "unknown"


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
