"""Checks an export: every validation example through the saved model and through the export."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import torch

from orchestrator.deploy.manifest import Comparison, DifferentRow, Origin
from orchestrator.deploy.predictor import Predictor, Texts
from orchestrator.deploy.saved_model import SavedModel
from trainables.data.batches import evaluation_batches
from trainables.errors import EncoderError

OTHER_SIZES = (1, 3, 8, 29)
"""Examples of a batch, in turn, where the order is that of the file."""
MOST_IN_OTHER_BATCHES = 256
"""Examples that are answered a second time, in other batches."""
RECORD_TOLERANCE = {"fp32": 0.01, "bf16": 0.25, "fp16": 0.25}
"""Precision of a trial -> by how much its logits may differ from those of its model in float32,
relative to the largest; beyond it the model is not the one of the record."""


@dataclass(frozen=True)
class TaskExamples:
    """The validation examples of a task, and what its trial said of them.

    Attributes:
        texts: of each example.
        record: the trial's logits of the task's own labels, float32 ``(examples, labels)``; of a
            regression ``(examples, 1)``.
    """

    texts: Sequence[Texts]
    record: np.ndarray


@torch.inference_mode()
def check(
    saved: SavedModel,
    export: Predictor,
    task: str,
    examples: TaskExamples,
    *,
    batch_size: int,
    other_ways: Mapping[str, Callable[[Sequence[Texts], int], np.ndarray]],
    on_examples: Callable[[int], None] = lambda count: None,
) -> list[Comparison]:
    """Compare what an export says of a task with what the saved model and the trial said.

    Args:
        saved: the model that was exported.
        export: the same model, read from the folder that was written.
        task: the task.
        examples: its validation examples.
        batch_size: examples per batch of the evaluation.
        other_ways: name -> another way to use the export: examples and batch size -> logits.
            Examples whose second text is empty are left out of it, since transformers takes them
            for single texts.
        on_examples: called with how many were answered, in all ``answers_of`` the examples.

    Returns:
        ``saved model``, ``other batches``, ``record`` and the other ways, see ``Comparison``.
    """
    labels = saved.description["tasks"][task]["labels"]
    texts, total = examples.texts, len(examples.texts)
    lengths = _lengths(saved, task, texts)
    expected = np.zeros_like(examples.record)
    answered = np.zeros_like(examples.record)
    for rows in evaluation_batches(lengths, batch_size):
        batch = [texts[row] for row in rows]
        expected[rows] = _saved_logits(saved, task, batch)
        on_examples(len(rows))
        answered[rows] = export.logits(batch, [task])[task]
        on_examples(len(rows))
    several = min(total, MOST_IN_OTHER_BATCHES)
    other = np.zeros_like(expected[:several])
    start = 0
    for size in cycle(OTHER_SIZES):
        if start >= several:
            break
        end = min(start + size, several)
        other[start:end] = export.logits(texts[start:end], [task])[task]
        on_examples(end - start)
        start = end
    comparisons = [
        compare("saved model", labels, expected, answered),
        compare("other batches", labels, expected[:several], other),
        compare("record", labels, examples.record, answered),
    ]
    whole = [row for row, own in enumerate(texts) if all(own[1:])]
    for name, answer in other_ways.items():
        given = answer([texts[row] for row in whole], batch_size)
        comparisons.append(compare(name, labels, expected[whole], given, whole))
    return comparisons


def answers_of(total: int) -> int:
    """How many answers ``check`` counts for so many examples."""
    return 2 * total + min(total, MOST_IN_OTHER_BATCHES)


def compare(
    beside: str,
    labels: list[str],
    expected: np.ndarray,
    answered: np.ndarray,
    rows: Sequence[int] | None = None,
) -> Comparison:
    """Compare logits, both float32 of shape ``(examples, labels)``; ``rows``: their numbers.

    Raises:
        EncoderError: the answers are not all finite.
    """
    if not np.isfinite(answered).all():
        raise EncoderError(
            f"the export's logits are not all finite ({beside}); nothing was written; choose "
            "another --format"
        )
    different = []
    if labels:
        best, given = expected.argmax(axis=1), answered.argmax(axis=1)
        for row in np.flatnonzero(best != given).tolist():
            low, high = np.sort(expected[row])[-2:]
            different.append(
                DifferentRow(
                    row=row if rows is None else rows[row],
                    expected=labels[best[row]],
                    predicted=labels[given[row]],
                    margin=float(high - low),
                )
            )
    largest = float(np.abs(expected - answered).max(initial=0))
    return Comparison(
        beside=beside,
        examples=len(expected),
        largest_difference=largest,
        different=tuple(different),
    )


def refuse(
    task: str,
    origin: Origin,
    comparisons: Sequence[Comparison],
    examples: TaskExamples,
    tolerance: float | None,
) -> None:
    """Refuse an export that does not answer as it should.

    Raises:
        EncoderError: the saved model is not the one of the record, or the export answers in another
            way than the saved model by more than ``tolerance``.
    """
    scale = max(1.0, float(np.abs(examples.record).max(initial=0)))
    by_name = {comparison.beside: comparison for comparison in comparisons}
    record = by_name.pop("record")
    if tolerance is None:
        return
    for name, comparison in by_name.items():
        if not comparison.largest_difference <= tolerance * scale:
            raise EncoderError(
                f"task {task}: the export does not answer as the saved model ({name}: logits "
                f"differ by up to {comparison.largest_difference:.2g}, "
                f"{len(comparison.different)} of {comparison.examples} predictions are others); "
                "nothing was written; choose another --format"
            )
    limit = RECORD_TOLERANCE[origin.precision] * scale
    worst = max((row.margin for row in record.different), default=0.0)
    if worst > limit or (not record.different and record.largest_difference > 4 * limit):
        raise EncoderError(
            f"task {task}: the saved model {origin.key} does not predict what its record says "
            f"({len(record.different)} of {record.examples} predictions are others, with margins "
            f"up to {worst:.2g}); train it again"
        )


def _lengths(saved: SavedModel, task: str, texts: Sequence[Texts]) -> np.ndarray:
    """Tokens per example, int64, shape ``(examples,)``."""
    encoded = saved.tokenizer(**_inputs(saved, task, texts), truncation=True)
    return np.array([len(ids) for ids in encoded["input_ids"]])


def _saved_logits(saved: SavedModel, task: str, texts: Sequence[Texts]) -> np.ndarray:
    """What the saved model says of a batch, float32, shape ``(batch, labels)``."""
    batch = saved.tokenizer(
        **_inputs(saved, task, texts), truncation=True, padding=True, return_tensors="pt"
    )
    return saved.classifier(batch, task).float().numpy()


def _inputs(saved: SavedModel, task: str, texts: Sequence[Texts]) -> Mapping[str, Any]:
    prefix = saved.description["tasks"][task]["prefix"]
    first, *second = (list(own) for own in zip(*texts, strict=True))
    return {
        "text": [prefix + text for text in first],
        "text_pair": second[0] if second else None,
        "max_length": saved.description["max_length"],
    }
