"""ONNX graphs with weights as 8-bit integers, and the gate that they must pass.

What is multiplied with the weights is rounded to integers as it comes: dynamic quantization of
onnxruntime. How many predictions that changes depends on how weights are rounded and on the CPU, so
all ``QUANTIZATIONS`` are tried on real examples.
"""

import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orchestrator.analysis.intervals import mean_difference
from orchestrator.analysis.pseudo_values import Runs
from orchestrator.deploy.manifest import Loss, TriedQuantization
from orchestrator.deploy.onnx_model import GRAPH, OnnxPredictor
from orchestrator.deploy.predictor import Predictor, Texts

LEVEL = 0.05
"""Chance that models which lose the margin pass the gate; shared by all quantizations, of which
the best one is taken."""


@dataclass(frozen=True)
class Quantization:
    """How weights become integers.

    Attributes:
        name: for tables.
        signed: whether they are int8, not uint8.
        per_channel: whether each column of a matrix has its own scale.
        seven_bits: whether one bit is left free, for CPUs without VNNI, whose sums of products
            would overflow.
    """

    name: str
    signed: bool
    per_channel: bool
    seven_bits: bool = False


QUANTIZATIONS = (
    Quantization("int8", True, False),
    Quantization("int8 per channel", True, True),
    Quantization("int8 per channel, 7 bits", True, True, True),
    Quantization("uint8", False, False),
    Quantization("uint8 per channel", False, True),
)


def quantize(source: Path, target: Path, quantization: Quantization) -> None:
    """Write an ONNX export with its weights as integers.

    Args:
        source: an export in float32.
        target: an empty folder.
        quantization: how.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    for path in source.iterdir():
        if not path.name.startswith(GRAPH):
            shutil.copyfile(path, target / path.name)
    large = (source / f"{GRAPH}.data").exists()
    root = logging.getLogger()
    level = root.level
    # It advises a step that the exporter of torch has already taken.
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quantize_dynamic(
                source / GRAPH,
                target / GRAPH,
                weight_type=QuantType.QInt8 if quantization.signed else QuantType.QUInt8,
                per_channel=quantization.per_channel,
                reduce_range=quantization.seven_bits,
                use_external_data_format=large,
            )
    finally:
        root.setLevel(level)


def quantize_weights(
    folder: Path,
    examples: Mapping[str, Sequence[Texts]],
    batch_size: int,
    on_examples: Callable[[int], None] = lambda count: None,
) -> list[TriedQuantization]:
    """Replace an ONNX export by that of ``QUANTIZATIONS`` which changes fewest predictions.

    Labels play no part. Of quantizations that change equally many, the one is taken whose logits
    differ least at most.

    Args:
        folder: the export, in float32.
        examples: task -> its examples.
        batch_size: examples that are computed together.
        on_examples: called with how many were answered, ``len(QUANTIZATIONS) + 1`` times all.

    Returns:
        All quantizations, the one that was taken first.
    """
    expected = _answers(OnnxPredictor(folder), examples, batch_size, on_examples)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
        tried = []
        for quantization in QUANTIZATIONS:
            rounded = Path(name) / quantization.name
            rounded.mkdir()
            quantize(folder, rounded, quantization)
            logits = _answers(OnnxPredictor(rounded), examples, batch_size, on_examples)
            tried.append(
                TriedQuantization(
                    name=quantization.name,
                    changed=sum(_changed(expected[task], logits[task]) for task in examples),
                    largest_difference=max(
                        float(np.abs(expected[task] - logits[task]).max(initial=0))
                        for task in examples
                    ),
                )
            )
        tried.sort(key=lambda own: (own.changed, own.largest_difference))
        for path in folder.glob(f"{GRAPH}*"):
            path.unlink()
        for path in (Path(name) / tried[0].name).glob(f"{GRAPH}*"):
            path.replace(folder / path.name)
    return tried


def _answers(
    predictor: Predictor,
    examples: Mapping[str, Sequence[Texts]],
    batch_size: int,
    on_examples: Callable[[int], None],
) -> dict[str, np.ndarray]:
    """Task -> logits of all its examples, those of equal length together."""
    answers = {}
    for task, texts in examples.items():
        order = np.argsort([sum(map(len, own)) for own in texts], kind="stable")
        parts = []
        for start in range(0, len(order), batch_size):
            batch = [texts[row] for row in order[start : start + batch_size]]
            parts.append(predictor.logits(batch, [task])[task])
            on_examples(len(batch))
        answers[task] = np.concatenate(parts)[np.argsort(order)]
    return answers


def _changed(expected: np.ndarray, logits: np.ndarray) -> int:
    """Number of examples that are predicted otherwise."""
    if expected.shape[1] == 1:
        return int((expected != logits).sum())
    return int((expected.argmax(axis=1) != logits.argmax(axis=1)).sum())


def losses(
    runs: Mapping[str, tuple[Runs, Runs]],
    groups: Mapping[str, np.ndarray | None],
    margins: Mapping[str, float],
) -> list[Loss]:
    """What each task and, of several, the macro average lose.

    Lower ends of one-sided intervals for new examples, of these two trained models alone (the
    seeds have no part in it); ``LEVEL`` is divided by the number of quantizations
    (Bonferroni).

    Args:
        runs: task -> the quantized and the exact model's one run.
        groups: task -> the group of each example, or None.
        margins: task or ``macro`` -> margin, as a fraction.
    """
    scopes = [[task] for task in runs] + ([list(runs)] if len(runs) > 1 else [])
    made = []
    for tasks in scopes:
        lost = mean_difference([runs[task] for task in tasks], [groups.get(t) for t in tasks])
        half = lost.examples_only_half_width(2 * LEVEL / len(QUANTIZATIONS))
        scope = tasks[0] if len(tasks) == 1 else "macro"
        low = lost.value - half
        made.append(Loss(scope=scope, value=lost.value, low=low, margin=margins[scope]))
    return made
