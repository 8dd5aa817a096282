"""Opens a deployed model, whatever the format of its files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from orchestrator.deploy.bundle_model import DESCRIPTION, BundleModel, load
from orchestrator.deploy.predictor import Predictor, TaskOutput, Texts
from orchestrator.deploy.saved_model import read_saved_model
from trainables.errors import EncoderError


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


def _bundle(folder: Path, device: str) -> Predictor:
    try:
        return BundlePredictor(load(folder, device))
    except ValueError as error:
        raise EncoderError(str(error)) from error


def _saved(folder: Path, device: str) -> Predictor:
    return BundlePredictor(read_saved_model(folder).bundle_model().to(device))


FORMATS: dict[str, Callable[[Path, str], Predictor]] = {
    DESCRIPTION: _bundle,
    "heads.json": _saved,
}
"""File that a format's folders have -> what opens them; the first that is there counts."""


def open_predictor(folder: Path | str, device: str = "cpu") -> Predictor:
    """Open a deployed model: an export, or ``models/KEY`` of a run directory.

    Args:
        folder: the folder.
        device: where to compute, for example ``cuda``.

    Raises:
        EncoderError: the folder holds no such model, or the model is incomplete or damaged.
    """
    folder = Path(folder)
    for file, opened in FORMATS.items():
        if (folder / file).is_file():
            return opened(folder, device)
    raise EncoderError(
        f"{folder}: no exported or saved model (none of {', '.join(FORMATS)}); give a folder that "
        "export wrote, or models/KEY of a run directory"
    )
