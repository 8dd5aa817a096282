"""ONNX graphs with weights in eight bits, and the gate that they must pass.

Matrices are stored as integers and what is multiplied with them is rounded to eight bits as it
comes (dynamic quantisation of onnxruntime). How many predictions that changes depends on how
weights are rounded and on the CPU, so all ``ROUNDINGS`` are tried on real examples.
"""

import logging
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orchestrator.analysis.intervals import mean_difference
from orchestrator.analysis.pseudo_values import Runs
from orchestrator.deploy.onnx_model import GRAPH, OnnxPredictor
from orchestrator.deploy.predictor import Predictor, Texts

LEVEL = 0.05
"""Chance that models which lose the margin pass the gate; shared by all roundings, of which the
best one is taken."""


@dataclass(frozen=True)
class Rounding:
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


ROUNDINGS = (
    Rounding("int8", True, False),
    Rounding("int8 per channel", True, True),
    Rounding("int8 per channel, 7 bits", True, True, True),
    Rounding("uint8", False, False),
    Rounding("uint8 per channel", False, True),
)


@dataclass(frozen=True)
class Rounded:
    """What a rounding does to the answers.

    Attributes:
        rounding: which.
        examples: how many examples of all tasks.
        changed: predictions that are others than those of the model in float32; of a regression
            numbers that differ.
        largest: largest difference of a logit.
        logits: task -> logits, float32, shape ``(examples, labels)``.
    """

    rounding: Rounding
    examples: int
    changed: int
    largest: float
    logits: Mapping[str, np.ndarray]


def quantize(source: Path, target: Path, rounding: Rounding) -> None:
    """Write an ONNX export with its weights as integers.

    Args:
        source: an export in float32.
        target: an empty folder.
        rounding: how.
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
                weight_type=QuantType.QInt8 if rounding.signed else QuantType.QUInt8,
                per_channel=rounding.per_channel,
                reduce_range=rounding.seven_bits,
                use_external_data_format=large,
            )
    finally:
        root.setLevel(level)


def best_rounding(
    source: Path,
    scratch: Path,
    examples: Mapping[str, Sequence[Texts]],
    batch_size: int,
    on_examples: Callable[[int], None] = lambda count: None,
) -> list[Rounded]:
    """Try all ``ROUNDINGS``; labels play no part.

    Args:
        source: an export in float32.
        scratch: a folder, in which each rounding gets a folder of its name.
        examples: task -> its examples.
        batch_size: examples that are computed together.
        on_examples: called with how many were answered, ``len(ROUNDINGS) + 1`` times all in all.

    Returns:
        The roundings, that which changes fewest predictions first; of equal ones that with the
        smallest largest difference of a logit.
    """
    expected = _answers(OnnxPredictor(source), examples, batch_size, on_examples)
    tried = []
    for rounding in ROUNDINGS:
        folder = scratch / rounding.name
        folder.mkdir()
        quantize(source, folder, rounding)
        logits = _answers(OnnxPredictor(folder), examples, batch_size, on_examples)
        changed = sum(_changed(expected[task], logits[task]) for task in examples)
        largest = max(float(np.abs(expected[t] - logits[t]).max(initial=0)) for t in examples)
        total = sum(map(len, examples.values()))
        tried.append(Rounded(rounding, total, changed, largest, logits))
    return sorted(tried, key=lambda rounded: (rounded.changed, rounded.largest))


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


@dataclass(frozen=True)
class Loss:
    """What a metric loses, on the same examples.

    Attributes:
        scope: a task, or ``macro``.
        value: rounded minus exact model, as a fraction of the metric.
        low: what it surely is not below, for new examples.
        margin: the loss that is of no consequence.
    """

    scope: str
    value: float
    low: float
    margin: float

    @property
    def passes(self) -> bool:
        """Whether the rounded model is surely not worse by the margin: non-inferiority."""
        return self.low > -self.margin


def losses(
    runs: Mapping[str, tuple[Runs, Runs]],
    groups: Mapping[str, np.ndarray | None],
    margins: Mapping[str, float],
) -> list[Loss]:
    """What each task and, of several, the macro average lose.

    Lower ends of one-sided intervals for new examples, of these two trained models alone (the
    seeds have no part in it); ``LEVEL`` is divided by the number of roundings that were tried
    (Bonferroni).

    Args:
        runs: task -> the rounded and the exact model's one run.
        groups: task -> the group of each example, or None.
        margins: task or ``macro`` -> margin, as a fraction.
    """
    scopes = [[task] for task in runs] + ([list(runs)] if len(runs) > 1 else [])
    made = []
    for tasks in scopes:
        lost = mean_difference([runs[task] for task in tasks], [groups.get(t) for t in tasks])
        half = lost.examples_only_half_width(2 * LEVEL / len(ROUNDINGS))
        scope = tasks[0] if len(tasks) == 1 else "macro"
        made.append(Loss(scope, lost.value, lost.value - half, margins[scope]))
    return made
