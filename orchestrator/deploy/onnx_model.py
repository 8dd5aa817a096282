"""Models in the ONNX format: one graph with an output for each task, run by onnxruntime.

    model.onnx         the graph; weights beyond 1.5 GB lie beside it in model.onnx.data
    onnx.json          tasks, inputs, and how texts become tokens
    tokenizer.json     the tokenizer

Inputs are int64 of shape ``(batch, tokens)``, outputs ``logits_TASK`` float32 of shape
``(batch, labels)``; batch and tokens are free.
"""

import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import PreTrainedModel

from orchestrator.deploy.bundle_model import BundleModel, Tokens, passes
from orchestrator.deploy.predictor import TaskOutput, Texts
from orchestrator.deploy.saved_model import SavedModel
from trainables.errors import EncoderError

SCHEMA = 1
"""Version of ``onnx.json``."""
GRAPH = "model.onnx"
DESCRIPTION = "onnx.json"
ONE_FILE = 1_500_000_000
"""Bytes of weights that one file holds; protobuf ends at 2 GiB."""


class _Graph(nn.Module):
    """What is traced: named inputs -> a tuple of logits, in the order of the tasks."""

    def __init__(self, model: BundleModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        texts: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """See ``BundleModel.forward``."""
        return tuple(self.model(input_ids, attention_mask, token_type_ids, texts).values())


def write_onnx(saved: SavedModel, folder: Path) -> None:
    """Write a model as ONNX into an empty folder.

    Args:
        saved: the model.
        folder: an empty folder; not written atomically.

    Raises:
        EncoderError: packages are missing, or the model cannot be written as a graph.
    """
    _check_packages("onnx", "onnxscript", "onnxruntime")
    model = saved.bundle_model()
    names = _inputs(saved.description)
    # Both texts of a pair, and more tokens than examples: no axis is taken for another one, and
    # none for fixed.
    batch = model.tokens.batch([("a", "b"), ("a b c", "d e"), ("a", "b c")])
    example = {name: torch.from_numpy(batch[name]) for name in names}
    free = torch.export.Dim.DYNAMIC
    try:
        with _silent(), _plain_attention(saved.encoder):
            program = torch.onnx.export(
                _Graph(model).eval(),
                kwargs=example,
                dynamo=True,
                dynamic_shapes={name: {0: free, 1: free} for name in names},
                input_names=list(names),
                output_names=[output_name(task) for task in model.tasks],
                verbose=False,
            )
            assert program is not None
            size = sum(tensor.nbytes for tensor in model.state_dict().values())
            program.save(folder / GRAPH, external_data=size > ONE_FILE)
    except Exception as error:  # torch's tracer raises many kinds
        name = saved.description["encoder"]["class"]
        raise EncoderError(
            f"{saved.folder}: {name} cannot be written as an ONNX graph "
            f"({_reason(error)}); choose --format bundle"
        ) from error
    saved.tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))  # type: ignore[attr-defined]
    description = {
        "schema_version": SCHEMA,
        "tasks": saved.description["tasks"],
        "inputs": list(names),
        "pad_id": saved.description["pad_id"],
        "max_length": saved.description["max_length"],
    }
    text = json.dumps(description, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def output_name(task: str) -> str:
    """The graph's output with the logits of a task."""
    return f"logits_{task}"


def _inputs(description: Mapping[str, Any]) -> tuple[str, ...]:
    """The inputs that a model reads; others would not be in the graph."""
    names = ["input_ids", "attention_mask"]
    if description["encoder"]["segments"]:
        names.append("token_type_ids")
    if any(head["kind"] == "san" for head in description["heads"]):
        names.append("texts")
    return tuple(names)


class OnnxPredictor:
    """An ONNX export as a ``Predictor``, computed on the CPU.

    Args:
        folder: the export.

    Attributes:
        tasks, max_length: see ``Predictor``.

    Raises:
        EncoderError: a file is missing or damaged, or onnxruntime is not installed.
    """

    def __init__(self, folder: Path) -> None:
        _check_packages("onnxruntime")
        import onnxruntime

        path = folder / DESCRIPTION
        try:
            content = json.loads(path.read_bytes())
            if content["schema_version"] != SCHEMA:
                raise ValueError(f"schema_version is {content['schema_version']!r}, not {SCHEMA}")
            self.tasks: Mapping[str, TaskOutput] = {
                name: TaskOutput(tuple(task["labels"]), task["texts"], task["prefix"])
                for name, task in content["tasks"].items()
            }
            self.max_length = int(content["max_length"])
            self._inputs: list[str] = list(content["inputs"])
            path = folder / "tokenizer.json"
            tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
            self._tokens = Tokens(tokenizer, int(content["pad_id"]), self.max_length)
            path = folder / GRAPH
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
            outputs = {output.name for output in self._session.get_outputs()}
            inputs = {value.name for value in self._session.get_inputs()}
            if outputs != set(map(output_name, self.tasks)) or inputs != set(self._inputs):
                raise ValueError(f"inputs or outputs are not those of {DESCRIPTION}")
        except Exception as error:  # tokenizers and onnxruntime raise many kinds
            raise EncoderError(
                f"{path}: missing or damaged ({_reason(error)}); export the model again"
            ) from error

    def logits(
        self, examples: Sequence[Texts], tasks: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """See ``Predictor.logits``."""
        names = list(self.tasks if tasks is None else tasks)
        answers: dict[str, np.ndarray] = {}
        for prefix, group in passes(self.tasks, examples, names).items():
            batch = self._tokens.batch(examples, prefix)
            outputs = self._session.run(
                [output_name(name) for name in group], {name: batch[name] for name in self._inputs}
            )
            answers |= dict(zip(group, map(np.asarray, outputs), strict=True))
        return {name: answers[name] for name in names}


def open_onnx(folder: Path, device: str) -> OnnxPredictor:
    """Open an ONNX export.

    Raises:
        EncoderError: see ``OnnxPredictor``; or ``device`` is not the CPU.
    """
    if device != "cpu":
        raise EncoderError(f"{folder}: an ONNX export is computed on the CPU, not on {device}")
    return OnnxPredictor(folder)


def _check_packages(*names: str) -> None:
    """Raises EncoderError: a package is not installed."""
    for name in names:
        try:
            import_module(name)
        except ImportError as error:
            raise EncoderError(
                f"{name} is not installed, which ONNX needs: "
                "pip install -r requirements-deploy.txt, or the extra [deploy]"
            ) from error


def _reason(error: BaseException) -> str:
    """The first cause of an error, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


@contextmanager
def _plain_attention(encoder: PreTrainedModel) -> Iterator[None]:
    """With attention in single operations: of T5, fused attention cannot be traced."""
    before = encoder.config._attn_implementation or "eager"
    encoder.set_attn_implementation("eager")
    try:
        yield
    finally:
        encoder.set_attn_implementation(before)


@contextmanager
def _silent() -> Iterator[None]:
    """Without what torch's exporter prints and warns of on the way."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with (
            Path(os.devnull).open("w") as nowhere,
            redirect_stdout(nowhere),
            redirect_stderr(nowhere),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
