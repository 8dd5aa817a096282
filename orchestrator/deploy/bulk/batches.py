"""Answers many examples in batches of similar length."""

from collections.abc import Iterator, Sequence

import numpy as np

from orchestrator.deploy.predictor import Predictor, Texts

BATCH_CHARACTERS = 16_384
"""Characters of a batch, with those that pad its examples to the longest."""

BATCH_EXAMPLES = 128
"""Most examples of a batch."""

CHARACTERS_OF_TOKEN = 8
"""More characters than most tokens have: what is longer than ``max_length`` of them is cut."""


def answer(
    predictor: Predictor, examples: Sequence[Texts], tasks: Sequence[str]
) -> dict[str, np.ndarray]:
    """Logits of examples in their order, from batches that are made by length.

    Args:
        predictor: the model.
        examples: of one or two texts; a task of one text reads the first.
        tasks: those to answer.

    Returns:
        Task -> logits, float32, shape ``(len(examples), labels)``; of a regression
        ``(len(examples), 1)``.
    """
    logits = {
        task: np.empty((len(examples), len(predictor.tasks[task].labels) or 1), np.float32)
        for task in tasks
    }
    for texts in (1, 2):
        answered = [task for task in tasks if predictor.tasks[task].texts == texts]
        if not answered:
            continue
        cut = [example[:texts] for example in examples]
        most = predictor.max_length * CHARACTERS_OF_TOKEN
        lengths = np.array([min(most, sum(map(len, example))) for example in cut], dtype=np.int64)
        for rows in _batches(lengths):
            for task, rows_logits in predictor.logits([cut[row] for row in rows], answered).items():
                logits[task][rows] = rows_logits
    return logits


def _batches(lengths: np.ndarray) -> Iterator[np.ndarray]:
    """Rows, the longest first, so that a batch too large for the memory fails at once."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = max(1, int(lengths[order[start]]))
        size = max(1, min(BATCH_EXAMPLES, BATCH_CHARACTERS // longest))
        yield order[start : start + size]
        start += size
