"""Opens a deployed model, whatever the format of its files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from orchestrator.deploy.bundle import BundlePredictor, open_bundle
from orchestrator.deploy.bundle_model import DESCRIPTION
from orchestrator.deploy.formats import FORMATS
from orchestrator.deploy.manifest import MANIFEST, Collection, read_manifest
from orchestrator.deploy.predictor import Predictor, TaskOutput, Texts
from orchestrator.deploy.saved_model import HEADS, read_saved_model
from trainables.errors import EncoderError


class SeveralModels:
    """The models of several tasks as one ``Predictor``; each task is a pass of its own encoder.

    Args:
        models: task -> the model that answers it.

    Attributes:
        tasks, max_length: see ``Predictor``; the longest of the models'.
    """

    def __init__(self, models: Mapping[str, Predictor]) -> None:
        self._models = dict(models)
        self.tasks: Mapping[str, TaskOutput] = {t: m.tasks[t] for t, m in models.items()}
        self.max_length = max(model.max_length for model in models.values())

    def logits(
        self, examples: Sequence[Texts], tasks: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """See ``Predictor.logits``."""
        names = list(self.tasks if tasks is None else tasks)
        for name in names:
            if name not in self._models:
                raise ValueError(f"there is no task {name}; there are {', '.join(self.tasks)}")
        answers: dict[str, np.ndarray] = {}
        for name in names:
            answers |= self._models[name].logits(examples, [name])
        return answers


def open_predictor(folder: Path | str, device: str = "cpu") -> Predictor:
    """Open a deployed model: an export of any format, or ``models/KEY`` of a run directory.

    The folder of an export that has a folder for each task is opened as one model of all of them.

    Args:
        folder: the folder.
        device: where to compute, for example ``cuda``.

    Raises:
        EncoderError: the folder holds no such model, or the model is incomplete or damaged.
    """
    folder = Path(folder)
    if (folder / MANIFEST).is_file():
        return _exported(folder, device)
    if (folder / DESCRIPTION).is_file():
        return open_bundle(folder, device)
    if (folder / HEADS).is_file():
        return BundlePredictor(read_saved_model(folder).bundle_model().to(device))
    raise EncoderError(
        f"{folder}: no exported or saved model (it has none of {MANIFEST}, {DESCRIPTION} and "
        f"{HEADS}); give a folder that export wrote, or models/KEY of a run directory"
    )


def _exported(folder: Path, device: str) -> Predictor:
    manifest = read_manifest(folder)
    if isinstance(manifest, Collection):
        inside = {name: folder / name for name in dict.fromkeys(manifest.models.values())}
        for name, path in inside.items():
            if path.resolve().parent != folder.resolve() or not (path / MANIFEST).is_file():
                raise EncoderError(f"{folder / MANIFEST}: models: no model {name}; export again")
        opened = {name: _exported(path, device) for name, path in inside.items()}
        return SeveralModels({task: opened[name] for task, name in manifest.models.items()})
    if manifest.format not in FORMATS:
        raise EncoderError(
            f"{folder / MANIFEST}: format: this version does not know {manifest.format}, only "
            f"{', '.join(FORMATS)}"
        )
    return FORMATS[manifest.format].open(folder, manifest.tasks, device)
