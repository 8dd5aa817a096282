"""A saved model of a run directory as the parts of a bundle."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from orchestrator.deploy.bundle_model import SCHEMA, BundleModel
from trainables.errors import EncoderError
from trainables.models.architecture import family_of, speaker
from trainables.models.saved import SavedClassifier, load_classifier
from trainables.models.text_to_text import BartEncoderModel

HEADS = "heads.json"
"""The file by which a saved model is known."""
NO_LIMIT = 1_000_000
"""A tokenizer whose limit is higher has none."""


@dataclass(frozen=True)
class SavedModel:
    """A trained model, as ``save_models=true`` left it.

    Attributes:
        folder: ``models/KEY`` of the run directory.
        classifier: encoder and heads, on the CPU, in evaluation mode.
        tokenizer: its tokenizer.
        description: what ``bundle.json`` says of it.
        heads: the heads' tensors, by their names in a bundle.
    """

    folder: Path
    classifier: SavedClassifier
    tokenizer: PreTrainedTokenizerBase
    description: dict[str, Any]
    heads: dict[str, Tensor]

    @property
    def encoder(self) -> PreTrainedModel:
        """The encoder in a class that is part of transformers."""
        model = self.classifier.encoder.plain
        return model.encoder if isinstance(model, BartEncoderModel) else model

    def of(self, tasks: Sequence[str]) -> "SavedModel":
        """The same model with some of its tasks and their heads alone."""
        chosen = {task: self.description["tasks"][task] for task in tasks}
        numbers = sorted({own["head"] for own in chosen.values()})
        renumbered = {old: new for new, old in enumerate(numbers)}
        description = self.description | {
            "tasks": {t: own | {"head": renumbered[own["head"]]} for t, own in chosen.items()},
            "heads": [self.description["heads"][number] for number in numbers],
        }
        heads = {
            f"{renumbered[int(number)]}.{key}": tensor
            for name, tensor in self.heads.items()
            for number, _, key in [name.partition(".")]
            if int(number) in renumbered
        }
        return replace(self, description=description, heads=heads)

    def bundle_model(self) -> BundleModel:
        """The same model as a bundle of it will be; it shares the tensors of this one."""
        backend: Any = self.tokenizer.backend_tokenizer  # type: ignore[attr-defined]
        tokenizer = Tokenizer.from_str(backend.to_str())
        made = BundleModel(self.encoder, tokenizer, self.description)
        made.heads.load_state_dict(self.heads)
        return made


def read_saved_model(folder: Path | str) -> SavedModel:
    """Read ``models/KEY`` of a run directory.

    Raises:
        EncoderError: it is none, is damaged, or does not say what is needed to use it elsewhere.
    """
    folder = Path(folder)
    classifier, tokenizer, extra = load_classifier(folder)
    return SavedModel(
        folder,
        classifier,
        tokenizer,
        _description(folder, classifier, tokenizer, extra),
        _head_tensors(classifier),
    )


def _description(
    folder: Path,
    classifier: SavedClassifier,
    tokenizer: PreTrainedTokenizerBase,
    extra: dict[str, Any],
) -> dict[str, Any]:
    encoder = classifier.encoder
    config = encoder.plain.config
    fixed = encoder.length is not None
    pad_id = (config.pad_token_id or 0) if fixed else tokenizer.pad_token_id
    model = encoder.plain
    name = "BartEncoder" if isinstance(model, BartEncoderModel) else type(model).__name__
    names = list(classifier.classes)
    return {
        "schema_version": SCHEMA,
        "tasks": _tasks(folder, classifier, extra),
        "heads": [
            {"name": name, "kind": classifier.kinds[name].name, "classes": classifier.classes[name]}
            for name in names
        ],
        "encoder": {
            "class": name,
            "summary": speaker(config),
            "pooler": encoder.has_pooler,
            "segments": encoder.has_segments,
            "global_attention": family_of(config).global_attention,
            "length": encoder.length,
        },
        "pad_id": pad_id,
        "max_length": _max_length(folder, tokenizer),
    }


def _tasks(folder: Path, classifier: SavedClassifier, extra: dict[str, Any]) -> dict[str, Any]:
    """Task -> what a bundle says of it.

    Raises:
        EncoderError: the folder does not name the labels of a task, or the number of its texts.
    """
    names = list(classifier.classes)
    labels, prefixes = extra.get("tasks"), extra.get("prefixes")
    tasks = {}
    for task, own in classifier.tasks.items():
        if not isinstance(labels, dict) or task not in labels or own.texts is None:
            raise EncoderError(
                f"{folder / HEADS}: tasks.{task}: its labels or its number of texts are "
                "missing, as in models of earlier versions; train the model again"
            )
        tasks[task] = {
            "head": names.index(own.head),
            "classes": list(own.classes),
            "labels": list(labels[task]),
            "texts": own.texts,
            "prefix": prefixes.get(task, "") if isinstance(prefixes, dict) else "",
        }
    if not tasks:
        raise EncoderError(
            f"{folder / HEADS}: it names no tasks; train the model again with save_models=true"
        )
    return tasks


def _max_length(folder: Path, tokenizer: PreTrainedTokenizerBase) -> int:
    limit = int(min(tokenizer.model_max_length, NO_LIMIT))
    if limit == NO_LIMIT:
        raise EncoderError(
            f"{folder / 'tokenizer_config.json'}: model_max_length is missing; write there how "
            "many tokens the model was trained with"
        )
    return limit


def _head_tensors(classifier: SavedClassifier) -> dict[str, Tensor]:
    return {
        f"{number}.{key}": tensor.detach().contiguous()
        for number, name in enumerate(classifier.classes)
        for key, tensor in classifier.head(name).state_dict().items()
    }
