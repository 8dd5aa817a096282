"""A checkpoint of transformers answers as the model, in every family that it is written for."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from transformers import pipeline

from orchestrator.deploy.checkpoint import (
    LAYOUTS,
    CheckpointPredictor,
    pipeline_logits,
    refusal,
    write_checkpoint,
)
from orchestrator.deploy.predictor import TaskOutput
from orchestrator.deploy.saved_model import read_saved_model
from tests.helpers.tiny_encoders import SPECIMENS
from tests.orchestrator.deploy.conftest import EXAMPLES, MAX_LENGTH, Save
from trainables.errors import EncoderError
from trainables.models.families import FAMILIES

PAIRS = [(name, kind) for name, own in SPECIMENS.items() for kind in LAYOUTS.get(own.kind, ())]
"""Specimen and kind of head, of all that can be a checkpoint."""


def checkpoint(saved: Path, folder: Path, task: str) -> tuple[Path, CheckpointPredictor]:
    model = read_saved_model(saved).of([task])
    assert refusal(model, task) == ""
    folder.mkdir()
    write_checkpoint(model, folder)
    own = model.description["tasks"][task]
    output = TaskOutput(tuple(own["labels"]), own["texts"])
    return folder, CheckpointPredictor(folder, task, output, "cpu")


@pytest.mark.parametrize(("specimen", "kind"), PAIRS)
def test_the_class_of_every_family_computes_the_same(
    specimen: str, kind: str, save: Save, tmp_path: Path
) -> None:
    saved = save(specimen, one=kind, two=kind)
    # A pipeline leaves an empty second text out.
    pairs = [texts for texts in EXAMPLES[2] if all(texts)]
    for task, examples in (("one", EXAMPLES[1]), ("two", pairs)):
        folder, predictor = checkpoint(saved, tmp_path / task, task)
        expected = read_saved_model(saved).bundle_model().logits(examples, [task])[task]
        np.testing.assert_allclose(predictor.logits(examples)[task], expected, atol=1e-5)
        for size in (1, 3):
            np.testing.assert_allclose(pipeline_logits(folder, examples, size), expected, atol=1e-5)
        assert np.ptp(expected, axis=0).max() > 1e-4


def test_only_families_whose_padding_is_invisible_have_a_layout() -> None:
    assert LAYOUTS.keys() <= FAMILIES.keys()
    assert not any(FAMILIES[kind].fixed_length for kind in LAYOUTS)


@pytest.mark.parametrize(
    ("specimen", "settings", "message"),
    [
        ("bert", {"one": "mean"}, "BertForSequenceClassification does not have the head mean"),
        ("bert", {"prefix": True}, r"trained with 'one: ' before each text \(task_prefix\)"),
        ("electra", {}, r"head pooler of task one; it has that of head=\{name: mlp\}"),
        ("distilbert", {}, "DistilBertForSequenceClassification does not have the head pooler"),
        ("modernbert", {}, "ModernBertForSequenceClassification does not have the head pooler"),
        ("qwen3", {"one": "first_token"}, "Qwen3ForSequenceClassification does not have the"),
        ("fnet", {}, "the answers of a fnet depend on the padding"),
    ],
)
def test_what_a_class_does_not_compute_is_refused_by_name(
    specimen: str, settings: dict[str, Any], message: str, save: Save
) -> None:
    assert re.search(message, refusal(read_saved_model(save(specimen, **settings)), "one"))


@pytest.mark.parametrize("classes", [[2, 1], [0, 3]])
def test_a_pooled_head_gives_the_tasks_own_rows(
    classes: list[int], save: Save, tmp_path: Path
) -> None:
    labels = {"one": ["no", "yes"], "other": ["a", "b", "c", "d"]}
    pooled = {"one": classes, "other": [0, 1, 2, 3]}
    saved = save("roberta", labels=labels, classes=pooled)
    folder, predictor = checkpoint(saved, tmp_path / "one", "one")
    expected = read_saved_model(saved).bundle_model().logits(EXAMPLES[1], ["one"])["one"]
    np.testing.assert_allclose(predictor.logits(EXAMPLES[1])["one"], expected, atol=1e-5)
    config = json.loads((folder / "config.json").read_text())
    assert config["id2label"] == {"0": "no", "1": "yes"}
    assert config["label2id"] == {"no": 0, "yes": 1}
    assert config["problem_type"] == "single_label_classification"
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    assert settings["model_max_length"] == predictor.max_length == MAX_LENGTH


def test_a_regression_gives_its_number(save: Save, tmp_path: Path) -> None:
    saved = save("bert", labels={"one": []})
    folder, predictor = checkpoint(saved, tmp_path / "one", "one")
    expected = predictor.logits(EXAMPLES[1])["one"][:, 0].tolist()
    classify: Any = pipeline("text-classification", model=str(folder), device="cpu")
    answers = classify([texts[0] for texts in EXAMPLES[1]], truncation=True)
    assert [answer["label"] for answer in answers] == ["one"] * len(expected)
    assert [answer["score"] for answer in answers] == pytest.approx(expected, abs=1e-5)


def _without_a_tensor(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors["classifier.weight"]
    save_file(tensors, path, {"format": "pt"})


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "cannot be read"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "cannot be read"),
        (_without_a_tensor, r"lack classifier\.weight; export it again"),
    ],
)
def test_a_damaged_checkpoint_is_refused(
    harm: Callable[[Path], object], message: str, save: Save, tmp_path: Path
) -> None:
    folder, predictor = checkpoint(save("bert"), tmp_path / "one", "one")
    harm(folder)
    with pytest.raises(EncoderError, match=message):
        CheckpointPredictor(folder, "one", predictor.tasks["one"], "cpu")


@pytest.mark.parametrize(
    ("examples", "tasks", "message"),
    [
        ([("a dog",)], ["two"], "no task two; there are one"),
        ([("a dog", "a cat")], None, "one is a tuple of 1; example 0"),
        ([], None, "no example"),
    ],
)
def test_what_cannot_be_answered_is_a_value_error(
    examples: Any, tasks: list[str] | None, message: str, save: Save, tmp_path: Path
) -> None:
    _, predictor = checkpoint(save("bert"), tmp_path / "one", "one")
    with pytest.raises(ValueError, match=message):
        predictor.logits(examples, tasks)
