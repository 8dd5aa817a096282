"""Answers the examples of several requests in common batches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.deploy.bulk.batches import answer
from orchestrator.deploy.predictor import Predictor, Texts


@dataclass(frozen=True)
class Call:
    """Examples of one request that are answered for the same tasks.

    Attributes:
        examples: at least one, all with as many texts.
        tasks: the tasks.
    """

    examples: Sequence[Texts]
    tasks: tuple[str, ...]


def answer_calls(predictor: Predictor, calls: Sequence[Call]) -> list[dict[str, np.ndarray]]:
    """Answer calls, those for the same tasks and with as many texts together.

    Returns:
        Of each call, task -> logits, shape ``(examples, labels)``; of a regression
        ``(examples, 1)``.
    """
    groups: dict[tuple[tuple[str, ...], int], list[int]] = {}
    for number, call in enumerate(calls):
        groups.setdefault((call.tasks, len(call.examples[0])), []).append(number)
    answers: list[dict[str, np.ndarray]] = [{} for _ in calls]
    for (tasks, _), numbers in groups.items():
        examples = [example for number in numbers for example in calls[number].examples]
        logits = answer(predictor, examples, tasks)
        start = 0
        for number in numbers:
            end = start + len(calls[number].examples)
            answers[number] = {task: logits[task][start:end] for task in tasks}
            start = end
    return answers
