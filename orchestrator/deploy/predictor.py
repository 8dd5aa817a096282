"""What every deployed model is to those who use it, whatever the format of its files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

Texts = tuple[str, ...]
"""One example: its text, or its two texts."""


@dataclass(frozen=True)
class TaskOutput:
    """What a model says of an example for one of its tasks.

    Attributes:
        labels: the names of its classes, in the order of the logits; empty for a regression, whose
            only logit is the predicted number.
        texts: how many texts an example has.
        prefix: stands before the first text, as in training; empty for none. Tasks with the same
            number of texts and the same prefix are answered in one pass of the encoder.
    """

    labels: tuple[str, ...]
    texts: Literal[1, 2]
    prefix: str = ""

    @property
    def regression(self) -> bool:
        """Whether it predicts a number."""
        return not self.labels


class Predictor(Protocol):
    """A model that is ready to answer.

    Attributes:
        tasks: task -> what the model says of it.
        max_length: tokens of an example, special ones among them; a longer one is cut.
    """

    tasks: Mapping[str, TaskOutput]
    max_length: int

    def logits(
        self, examples: Sequence[Texts], tasks: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Answer one batch, each group of tasks with the same input in one pass of the encoder.

        Args:
            examples: at least one; all with as many texts as the tasks' examples have.
            tasks: those to answer; None for all.

        Returns:
            Task -> logits, float32, shape ``(len(examples), labels)``; of a regression
            ``(len(examples), 1)``.

        Raises:
            ValueError: there is no such task, or an example has another number of texts.
        """
        ...


def probabilities(logits: np.ndarray) -> np.ndarray:
    """The softmax of each row of logits, shape ``(B, C)``, computed in float64."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
