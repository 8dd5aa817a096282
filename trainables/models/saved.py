"""Saves and loads a trained classifier as a self-contained folder: safetensors and JSON.

config.json, model.safetensors     the encoder, as transformers itself reads it
tokenizer.json, ...                its tokenizer
heads.json, heads.safetensors      the heads, which classes of them are a task's labels, the length
                                   to which texts are padded if that is fixed, and other facts for
                                   users of the model
"""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, NonNegativeInt, PositiveInt, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import BatchEncoding, PreTrainedTokenizerBase

from trainables.atomic import read_whole, sync_folder
from trainables.config.base import Settings
from trainables.config.methods import HeadConfig
from trainables.config.trial import ModelConfig
from trainables.errors import EncoderError
from trainables.models.adapter import merged
from trainables.models.classifier import Classifier
from trainables.models.encoder import load_encoder, load_tokenizer
from trainables.models.quiet import quiet

SAVED_SCHEMA = 3
"""2 did not say which classes of a head are a task's labels; it is read as well."""


class TaskClasses(Settings):
    """Where a task's labels stand.

    Attributes:
        head: the head that classifies the task.
        classes: for each label of the task, the head's class that it is.
        texts: how many texts an example has; None where it is not known.
    """

    head: str
    classes: tuple[NonNegativeInt, ...]
    texts: Literal[1, 2] | None = None


class SavedClassifier(Classifier):
    """A classifier as it was saved, which knows the tasks that it was trained on.

    Attributes:
        tasks: task -> where its labels stand.
    """

    tasks: dict[str, TaskClasses]

    def forward(self, batch: Mapping[str, Tensor], head: str) -> Tensor:
        """Classify a padded batch.

        Args:
            batch: what the tokenizer returns for one or more examples.
            head: a task, or the name of a head.

        Returns:
            Logits of shape ``(B, C)``: of the task's labels, in their order, or of all classes of
            the head.

        Raises:
            ValueError: the task's examples have another number of texts. A tokenizer that is given
                two strings leaves out a second one that is empty; given two lists, it does not.
        """
        return self.answers(batch, (head,))[head]

    def answers(self, batch: Mapping[str, Tensor], heads: Sequence[str]) -> dict[str, Tensor]:
        """Classify a padded batch for several tasks with one pass of the encoder.

        Args:
            batch: see ``forward``.
            heads: tasks, or names of heads.

        Returns:
            Task or head -> logits, see ``forward``.

        Raises:
            ValueError: see ``forward``.
        """
        for name in heads:
            if name in self.tasks and isinstance(batch, BatchEncoding):
                _check_texts(batch, name, self.tasks[name])
        encoded = self.encode(_with_texts(batch))
        logits = {}
        for name in heads:
            task = self.tasks.get(name)
            own = self.head(name if task is None else task.head)(encoded)
            logits[name] = own if task is None else own[:, list(task.classes)]
        return logits


def _check_texts(batch: BatchEncoding, name: str, task: TaskClasses) -> None:
    """Raises ValueError: an example has another number of texts than those of the task."""
    for encoding in batch.encodings or ():
        if task.texts not in (None, encoding.n_sequences):
            expected = "two texts: tokenizer([first], [second], ...)"
            expected = expected if task.texts == 2 else "one text: tokenizer([text], ...)"
            raise ValueError(
                f"an example of {name} has {expected}, with lists, since a tokenizer that is given "
                f"strings leaves out an empty second one; this batch has {encoding.n_sequences}"
            )


def _with_texts(batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """A tokenizer's batch, with which of two texts each token is in, as in training."""
    if not isinstance(batch, BatchEncoding) or "texts" in batch or not batch.is_fast:
        return batch
    texts = [
        [0 if text is None else text + 1 for text in batch.sequence_ids(row)]
        for row in range(len(batch["input_ids"]))
    ]
    return {**batch, "texts": torch.tensor(texts, device=batch["input_ids"].device)}


class _Heads(Settings):
    """Content of ``heads.json``."""

    schema_version: int
    heads: dict[str, PositiveInt]
    tasks: dict[str, TaskClasses] = Field(default={})
    kinds: dict[str, HeadConfig]
    dropout: float
    length: PositiveInt | None = None
    extra: dict[str, Any]


def save_classifier(
    folder: Path | str,
    classifier: Classifier,
    tokenizer: PreTrainedTokenizerBase,
    extra: dict[str, Any],
    tasks: Mapping[str, TaskClasses] | None = None,
) -> None:
    """Write a model folder atomically, replacing an older one.

    Args:
        folder: the folder to write.
        classifier: the model, on any device.
        tokenizer: the tokenizer that it was trained with.
        extra: other facts for users of the model, for example label names; JSON values.
        tasks: task -> where its labels stand; None: every head is that of a task of its name.
    """
    folder = Path(folder)
    folder.parent.mkdir(exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".tmp"))
    try:
        with quiet():
            merged(classifier.encoder.model).save_pretrained(temporary)
            tokenizer.save_pretrained(temporary)
        state = classifier.heads.state_dict()
        save_file(
            {key: value.detach().cpu().contiguous() for key, value in state.items()},
            temporary / "heads.safetensors",
        )
        heads = _Heads(
            schema_version=SAVED_SCHEMA,
            heads=classifier.classes,
            tasks=dict(tasks or {}),
            kinds=classifier.kinds,
            dropout=classifier.dropout,
            length=classifier.encoder.length,
            extra=extra,
        )
        (temporary / "heads.json").write_text(
            json.dumps(heads.model_dump(), indent=1, allow_nan=False) + "\n", encoding="utf-8"
        )
        _replace_folder(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def load_classifier(
    folder: Path | str,
) -> tuple[SavedClassifier, PreTrainedTokenizerBase, dict[str, Any]]:
    """Read a model folder written by ``save_classifier``.

    Returns:
        The classifier in evaluation mode on the CPU, its tokenizer, and ``extra``.

    Raises:
        EncoderError: the folder is not a saved model, or is damaged.
    """
    folder = Path(folder).absolute()
    path = folder / "heads.json"
    advice = "give a folder that was written with save_model=true"
    try:
        heads = _Heads.model_validate_json(read_whole(path))
    except OSError as error:
        raise EncoderError(f"{path}: cannot be read ({error.strerror}); {advice}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise EncoderError(f"{path}: {where}: {first['msg']}; {advice}") from error
    if heads.schema_version not in (2, SAVED_SCHEMA):
        raise EncoderError(
            f"{path}: schema_version is {heads.schema_version}, this version of the project reads "
            f"2 and {SAVED_SCHEMA}; save the model again"
        )
    tasks = _pooled_before(heads) if heads.schema_version == 2 else heads.tasks
    for name, task in tasks.items():
        if max(task.classes, default=0) >= heads.heads.get(task.head, 0):
            raise EncoderError(
                f"{path}: tasks.{name}: head {task.head} has no such classes; {advice}"
            )
    model = ModelConfig.model_validate(
        {"encoder": str(folder)} | ({} if heads.length is None else {"max_length": heads.length})
    )
    weights = folder / "heads.safetensors"
    try:
        state = load_file(weights)
        # Checked before the heads are created, which might exhaust the memory.
        if sum(heads.heads.values()) > sum(tensor.numel() for tensor in state.values()):
            raise ValueError("it has fewer numbers than heads.json has classes")
        encoder = load_encoder(model, seed=0)
        classifier = SavedClassifier(encoder, heads.heads, 0, heads.dropout, heads.kinds)
        classifier.tasks = tasks
        classifier.heads.load_state_dict(state)
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise EncoderError(f"{weights}: cannot be used ({reason}); {advice}") from error
    return classifier.eval(), load_tokenizer(model), heads.extra


def _pooled_before(heads: _Heads) -> dict[str, TaskClasses]:
    """Where labels stand in a file of schema 2, whose pooled head does not say it.

    Its label space was by position, or the union of all tasks' labels in their order.
    """
    labels = heads.extra.get("tasks")
    if list(heads.heads) != ["pooled"] or not isinstance(labels, dict):
        return {}
    sizes = [len(names) if isinstance(names, list) else 0 for names in labels.values()]
    total = heads.heads["pooled"]
    union = sum(sizes) == total
    if not union and set(sizes) != {total}:
        return {}
    starts = [sum(sizes[:number]) if union else 0 for number in range(len(sizes))]
    return {
        task: TaskClasses(head="pooled", classes=tuple(range(start, start + size)))
        for task, start, size in zip(labels, starts, sizes, strict=True)
    }


def _replace_folder(temporary: Path, folder: Path) -> None:
    """Replace ``folder`` by ``temporary`` and flush it to the disk."""
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o777 & ~umask)
    for path in temporary.iterdir():
        path.chmod(0o666 & ~umask)
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sync_folder(temporary)
    old = temporary.with_suffix(".old")
    if folder.exists():
        folder.rename(old)
    temporary.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)
