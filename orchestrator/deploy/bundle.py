"""The format ``bundle``: encoder, heads, tokenizer, label names and the file that runs them."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from orchestrator.deploy import bundle_model
from orchestrator.deploy.bundle_model import BundleModel
from orchestrator.deploy.predictor import Predictor, TaskOutput, Texts
from orchestrator.deploy.saved_model import SavedModel
from trainables.errors import EncoderError
from trainables.models.quiet import quiet

RUNNER = "model.py"
"""The copy of ``bundle_model.py`` in a bundle."""


def write_bundle(saved: SavedModel, folder: Path) -> None:
    """Write a bundle into an empty folder.

    Args:
        saved: the model.
        folder: an empty folder; not written atomically.
    """
    with quiet():
        saved.encoder.save_pretrained(folder)
        saved.tokenizer.save_pretrained(folder)
    save_file(saved.heads, folder / bundle_model.HEADS)
    description = json.dumps(saved.description, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / bundle_model.DESCRIPTION).write_text(description + "\n", encoding="utf-8")
    shutil.copyfile(bundle_model.__file__, folder / RUNNER)


class BundlePredictor:
    """A bundle, or a saved model, as a ``Predictor``.

    Args:
        model: the model.

    Attributes:
        model: the model.
        tasks, max_length: see ``Predictor``.
    """

    def __init__(self, model: BundleModel) -> None:
        self.model = model
        self.tasks: Mapping[str, TaskOutput] = {
            name: TaskOutput(task.labels, 1 if task.texts == 1 else 2, task.prefix)
            for name, task in model.tasks.items()
        }
        self.max_length = model.max_length

    def logits(
        self, examples: Sequence[Texts], tasks: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """See ``Predictor.logits``."""
        return self.model.logits(examples, tasks)


def open_bundle(folder: Path, device: str) -> Predictor:
    """Load a bundle.

    Raises:
        EncoderError: it is incomplete or damaged.
    """
    try:
        return BundlePredictor(bundle_model.load(folder, device))
    except ValueError as error:
        raise EncoderError(str(error)) from error
