"""Saved models with random weights, as a run directory keeps them."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.tiny_encoders import build_encoder
from trainables.config.methods import HeadConfig
from trainables.config.trial import ModelConfig
from trainables.models.classifier import Classifier
from trainables.models.encoder import load_encoder, load_tokenizer
from trainables.models.saved import TaskClasses, save_classifier

MAX_LENGTH = 24
"""Tokens; shorter than the longest of ``EXAMPLES``."""

EXAMPLES: dict[int, list[tuple[str, ...]]] = {
    1: [
        ("a dog",),
        ("the teacher reads a book and the child never finds the old red house on the river " * 2,),
        ("this film was not good",),
    ],
    2: [
        ("a dog", "the cat sees a big red bird"),
        ("the cat sees a bird", ""),
        (
            "this house was dull and old and very bad",
            "the teacher reads a book and a child sees " * 2,
        ),
    ],
}
"""Number of texts -> examples."""

Save = Callable[..., Path]


@pytest.fixture(scope="session")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Writes each specimen of an encoder once."""
    root = tmp_path_factory.mktemp("encoders")
    return cache(lambda name: build_encoder(name, root / name))


@pytest.fixture
def save(encoders: Callable[[str], Path], tmp_path: Path) -> Save:
    """``save("bert", one="mean", two="san")``: a task of one text and one of two, each a head."""

    def write(specimen: str, **options: Any) -> Path:
        return write_model(tmp_path / "models" / "key", encoders(specimen), **options)

    return write


def write_model(
    folder: Path,
    encoder: Path,
    *,
    classes: dict[str, Sequence[int]] | None = None,
    prefix: bool = False,
    labels: dict[str, list[str]] | None = None,
    **kinds: str,
) -> Path:
    """Write a saved model; see the fixture ``save``."""
    names = labels or {"one": ["no", "yes"], "two": ["a", "b", "c"]}
    model = ModelConfig(encoder=str(encoder), max_length=MAX_LENGTH)
    sizes = {task: len(own) or 1 for task, own in names.items()}
    heads = {"pooled": 1 + max(max(c) for c in classes.values())} if classes else sizes
    configs = {name: HeadConfig.model_validate({"name": kind}) for name, kind in kinds.items()}
    classifier = Classifier(load_encoder(model, 41), heads, 41, kinds=configs)
    # Large weights, so that a difference would show.
    with torch.no_grad():
        for name, parameter in classifier.heads.named_parameters():
            parameter.mul_(30) if parameter.dim() > 1 else parameter.add_(len(name) / 40)
    extra: dict[str, Any] = {
        "tasks": names,
        "prefixes": {task: f"{task}: " if prefix else "" for task in names},
    }
    tasks = {
        task: TaskClasses(
            head="pooled" if classes else task,
            classes=tuple(classes[task] if classes else range(sizes[task])),
            texts=2 if task.startswith("two") else 1,
        )
        for task in names
    }
    tokenizer = load_tokenizer(model)
    tokenizer.model_max_length = MAX_LENGTH
    folder.parent.mkdir(exist_ok=True)
    save_classifier(folder, classifier, tokenizer, extra, tasks)
    return folder
