"""The formats that a model can be exported in. To add one, add a ``Format`` to ``FORMATS``."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from orchestrator.deploy import checkpoint
from orchestrator.deploy.bundle import open_bundle, write_bundle
from orchestrator.deploy.checkpoint import CheckpointPredictor, pipeline_logits, write_checkpoint
from orchestrator.deploy.manifest import ExportedTask
from orchestrator.deploy.onnx_model import open_onnx, output_name, write_onnx
from orchestrator.deploy.predictor import Predictor, Texts
from orchestrator.deploy.saved_model import SavedModel

Tasks = Mapping[str, ExportedTask]
OtherWay = Callable[[Path, Sequence[Texts], int], np.ndarray]
"""Folder, examples and batch size -> logits, float32 of shape ``(examples, labels)``."""


@dataclass(frozen=True)
class Format:
    """A format of exported models.

    Attributes:
        summary: what it is, for the command's help.
        per_task: whether it has a folder for each task, not one for all that a model answers.
        refusal: model and task -> why that cannot be exported so; empty: it can.
        write: model and empty folder -> nothing; the folder holds the model afterwards. With
            ``per_task``, the model has one task.
        open: folder, its tasks and the device -> the model.
        usage: tasks -> lines of Python that use the model, for its card.
        library: name of the Hub's for what loads it; None for none of them.
        tolerance: the largest difference of two logits from those of the saved model that is
            rounding, relative to the largest logit where that is above 1; None where answers may
            differ, and are listed.
        int8: whether ``int8.quantize_weights`` follows, with its gate.
        other_ways: name -> another way to use the folder, which is checked as well.
    """

    summary: str
    per_task: bool
    refusal: Callable[[SavedModel, str], str]
    write: Callable[[SavedModel, Path], None]
    open: Callable[[Path, Tasks, str], Predictor]
    usage: Callable[[Tasks], list[str]]
    library: str | None = None
    tolerance: float | None = 1e-3
    int8: bool = False
    other_ways: Mapping[str, OtherWay] = field(default_factory=dict)


def _never(saved: SavedModel, task: str) -> str:
    return ""


def _bundle_usage(tasks: Tasks) -> list[str]:
    lines = ["from model import load  # model.py of this folder", "", 'model = load(".")']
    for name, task in tasks.items():
        example = '"a text"' if task.texts == 1 else '("first text", "second text")'
        lines.append(f"model.predict([{example}], {json.dumps(name, ensure_ascii=False)})")
    return lines


def _checkpoint_usage(tasks: Tasks) -> list[str]:
    [task] = tasks.values()
    example = '"a text"' if task.texts == 1 else '{"text": "first", "text_pair": "second"}'
    return [
        "from transformers import pipeline",
        "",
        'classify = pipeline("text-classification", model=".")',
        f"classify([{example}], truncation=True)",
    ]


def _onnx_usage(tasks: Tasks) -> list[str]:
    task, own = next(iter(tasks.items()))
    text = repr(own.prefix + "a text") if own.prefix else '"a text"'
    example = text if own.texts == 1 else f'{text}, "a second text"'
    return [
        "import json",
        "",
        "import numpy as np",
        "from onnxruntime import InferenceSession",
        "from tokenizers import Tokenizer",
        "",
        'description = json.load(open("onnx.json"))',
        'tokenizer = Tokenizer.from_file("tokenizer.json")',
        'tokenizer.enable_truncation(description["max_length"])',
        f"encoding = tokenizer.encode({example})",
        "inputs = {",
        '    "input_ids": encoding.ids,',
        '    "attention_mask": encoding.attention_mask,',
        '    "token_type_ids": encoding.type_ids,',
        '    "texts": [0 if n is None else n + 1 for n in encoding.sequence_ids],',
        "}",
        'inputs = {name: np.array([inputs[name]]) for name in description["inputs"]}',
        'session = InferenceSession("model.onnx")',
        f"[logits] = session.run([{output_name(task)!r}], inputs)",
    ]


def _open_checkpoint(folder: Path, tasks: Tasks, device: str) -> Predictor:
    [(name, task)] = tasks.items()
    return CheckpointPredictor(folder, name, task.output, device)


_ONNX = Format(
    summary="one graph with an output for each task, for onnxruntime",
    per_task=False,
    refusal=_never,
    write=write_onnx,
    open=lambda folder, tasks, device: open_onnx(folder, device),
    usage=_onnx_usage,
)

FORMATS: dict[str, Format] = {
    "bundle": Format(
        summary="the encoder once with all its heads; needs torch, transformers and safetensors",
        per_task=False,
        refusal=_never,
        write=write_bundle,
        open=lambda folder, tasks, device: open_bundle(folder, device),
        usage=_bundle_usage,
    ),
    "transformers": Format(
        summary="a checkpoint for each task, for pipeline(...), where transformers has the head",
        per_task=True,
        refusal=checkpoint.refusal,
        write=write_checkpoint,
        open=_open_checkpoint,
        usage=_checkpoint_usage,
        library="transformers",
        other_ways={"pipeline": pipeline_logits},
    ),
    "onnx": _ONNX,
    "onnx-int8": replace(
        _ONNX,
        summary="the same with weights in eight bits, where no metric loses its margin by that",
        tolerance=None,
        int8=True,
    ),
}
"""Name of a format -> what it is."""
