"""An ONNX export answers what the model answered that it was made of, in any batch."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from orchestrator.analysis.pseudo_values import Runs, of_classes
from orchestrator.deploy.int8 import QUANTIZATIONS, Quantization, losses, quantize, quantize_weights
from orchestrator.deploy.onnx_model import OnnxPredictor, open_onnx, write_onnx
from orchestrator.deploy.open import open_predictor
from orchestrator.deploy.saved_model import read_saved_model
from tests.helpers.tiny_encoders import SPECIMENS
from tests.orchestrator.deploy.conftest import EXAMPLES, MAX_LENGTH, Save, write_model
from trainables.errors import EncoderError

onnx: ModuleType = pytest.importorskip("onnx")

FAMILIES = ["bert", "fnet", "t5"]
"""Segments; padded to one length; an encoder of a text-to-text model."""


def exported(saved: Path, folder: Path) -> Path:
    folder.mkdir()
    write_onnx(read_saved_model(saved), folder)
    return folder


@pytest.fixture(scope="module")
def bert(
    encoders: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A saved model and its export; not to be changed."""
    root = tmp_path_factory.mktemp("onnx")
    saved = write_model(root / "models" / "key", encoders("bert"), one="mean", two="san")
    return saved, exported(saved, root / "onnx")


@pytest.fixture
def copy(bert: tuple[Path, Path], tmp_path: Path) -> Path:
    return shutil.copytree(bert[1], tmp_path / "copy")


def check_answers(saved: Path, folder: Path) -> None:
    expected, predictor = open_predictor(saved), OnnxPredictor(folder)
    assert predictor.max_length == MAX_LENGTH
    assert predictor.tasks == expected.tasks
    for name, task in predictor.tasks.items():
        examples = EXAMPLES[task.texts]
        for batch in (examples, examples[:1], examples[2:], examples * 9):
            answers, own = (p.logits(batch, [name])[name] for p in (predictor, expected))
            assert answers.dtype == np.float32
            np.testing.assert_allclose(answers, own, rtol=1e-4, atol=1e-4)


def test_all_heads_answer_in_batches_of_any_size(bert: tuple[Path, Path]) -> None:
    check_answers(*bert)
    graph = onnx.load(bert[1] / "model.onnx").graph
    inputs = {value.name for value in graph.input}
    assert inputs == {"input_ids", "attention_mask", "token_type_ids", "texts"}
    assert [value.name for value in graph.output] == ["logits_one", "logits_two"]
    for value in (*graph.input, *graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param


@pytest.mark.parametrize("specimen", FAMILIES[1:])
def test_families_that_are_used_in_another_way(specimen: str, save: Save, tmp_path: Path) -> None:
    saved = save(specimen, one="pooler", two="mlp")
    check_answers(saved, exported(saved, tmp_path / "onnx"))


def test_a_head_of_all_tasks_with_prefixes(save: Save, tmp_path: Path) -> None:
    classes = {"one": [3, 1], "two": [0, 1, 2], "number": [4]}
    labels: dict[str, list[str]] = {"one": ["no", "yes"], "two": ["a", "b", "c"], "number": []}
    saved = save("distilbert", classes=classes, labels=labels, prefix=True)
    folder = exported(saved, tmp_path / "onnx")
    check_answers(saved, folder)
    predictor = OnnxPredictor(folder)
    both = predictor.logits(EXAMPLES[1], ["number", "one"])
    assert list(both) == ["number", "one"]
    for name, logits in both.items():
        np.testing.assert_allclose(logits, predictor.logits(EXAMPLES[1], [name])[name], atol=1e-5)


def test_every_family(save: Save, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    if not pytestconfig.getoption("--encoders"):
        pytest.skip("only `make test-encoders` writes a graph of every family")
    for number, specimen in enumerate(SPECIMENS):
        saved = save(specimen, one="mean", two="san")
        check_answers(saved, exported(saved, tmp_path / f"onnx{number}"))


@pytest.mark.parametrize(
    ("examples", "tasks", "message"),
    [
        ([("a",)], ["three"], "there is no task three; there are one, two"),
        ([("a",)], ["two"], "an example of two is a tuple of 2; example 0 .* has 1 texts"),
        ([], ["one"], "there is no example"),
    ],
)
def test_what_it_cannot_answer(
    examples: list[tuple[str, ...]], tasks: list[str], message: str, bert: tuple[Path, Path]
) -> None:
    with pytest.raises(ValueError, match=message):
        OnnxPredictor(bert[1]).logits(examples, tasks)


def test_on_another_device(bert: tuple[Path, Path]) -> None:
    with pytest.raises(EncoderError, match="is computed on the CPU, not on cuda"):
        open_onnx(bert[1], "cuda")


@pytest.mark.parametrize("file", ["model.onnx", "onnx.json", "tokenizer.json"])
@pytest.mark.parametrize("size", [0, 100])
def test_damaged_files(file: str, size: int, copy: Path) -> None:
    (copy / file).write_bytes((copy / file).read_bytes()[:size])
    with pytest.raises(EncoderError, match=rf"{file}: missing or damaged .*; export the model"):
        OnnxPredictor(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "schema_version is 2, not 1"),
        ({"inputs": ["input_ids"]}, "inputs or outputs are not those of onnx.json"),
        ({"tasks": {}}, "inputs or outputs are not those of onnx.json"),
        ({"max_length": "long"}, "invalid literal"),
    ],
)
def test_a_description_that_does_not_fit(
    change: dict[str, object], message: str, copy: Path
) -> None:
    path = copy / "onnx.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(EncoderError, match=message):
        OnnxPredictor(copy)


def test_packages_that_are_missing(
    bert: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EncoderError, match=r"onnxruntime is not installed.*pip install"):
        OnnxPredictor(bert[1])
    with pytest.raises(EncoderError, match=r"onnxruntime is not installed.*pip install"):
        exported(bert[0], tmp_path / "onnx")


@pytest.mark.parametrize("quantization", QUANTIZATIONS, ids=lambda own: own.name)
def test_quantized_weights_are_integers(
    quantization: Quantization, bert: tuple[Path, Path], tmp_path: Path
) -> None:
    quantize(bert[1], tmp_path, quantization)
    kinds = {i.data_type for i in onnx.load(tmp_path / "model.onnx").graph.initializer}
    assert (onnx.TensorProto.INT8 in kinds) == quantization.signed
    exact, quantized = OnnxPredictor(bert[1]), OnnxPredictor(tmp_path)
    own, answers = (p.logits(EXAMPLES[1], ["one"])["one"] for p in (exact, quantized))
    assert 0 < np.abs(own - answers).max() < 0.5 * np.abs(own).max()


def test_the_quantization_that_changes_least_is_taken(copy: Path, bert: tuple[Path, Path]) -> None:
    examples = {"one": EXAMPLES[1] * 20, "two": EXAMPLES[2] * 20}
    answered: list[int] = []
    tried = quantize_weights(copy, examples, 64, answered.append)
    assert sum(answered) == 120 * (len(QUANTIZATIONS) + 1)
    assert sorted(own.name for own in tried) == sorted(own.name for own in QUANTIZATIONS)
    assert tried == sorted(tried, key=lambda own: (own.changed, own.largest_difference))
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]
    exact, quantized = OnnxPredictor(bert[1]), OnnxPredictor(copy)
    changed, largest = 0, 0.0
    for task, texts in examples.items():
        # The texts of a batch are rounded together, so the same ones: those of a task.
        own, answers = (p.logits(texts, [task])[task] for p in (exact, quantized))
        changed += int((own.argmax(1) != answers.argmax(1)).sum())
        largest = max(largest, float(np.abs(own - answers).max()))
    assert tried[0].changed == changed
    assert tried[0].largest_difference == pytest.approx(largest, rel=1e-3)


def test_the_gate_is_non_inferiority() -> None:
    labels = np.arange(400) % 2
    right, wrong = labels.copy(), 1 - labels

    def runs(errors: int) -> tuple[Runs, Runs]:
        quantized = np.where(np.arange(400) < errors, wrong, right)
        return (
            of_classes("accuracy", labels, [quantized], 2),
            of_classes("accuracy", labels, [right], 2),
        )

    def passes(errors: int, margin: float) -> list[bool]:
        pairs = {"a": runs(errors), "b": runs(0)}
        margins = {"a": margin, "b": margin, "macro": margin}
        return [loss.passes for loss in losses(pairs, {}, margins)]

    # Equal predictions: the rule of three, 3 / 400.
    assert passes(0, 0.008) == [True, True, True]
    assert passes(0, 0.007)[0] is False
    # 8 of 400 are lost: 2 points, and 2.33 standard errors of 0.7 points more.
    margins = {"a": 0.03, "b": 0.03, "macro": 0.03}
    lost, kept, macro = losses({"a": runs(8), "b": runs(0)}, {}, margins)
    assert lost.value == pytest.approx(-0.02)
    assert lost.low == pytest.approx(-0.02 - 2.3263 * np.sqrt(0.02 * 0.98 / 399), abs=1e-5)
    assert (lost.passes, kept.passes, macro.passes) == (False, True, True)
    assert macro.scope == "macro"
    assert macro.value == pytest.approx(-0.01)
