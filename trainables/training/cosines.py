"""Cosines between the tasks' gradients of the shared encoder, measured during training.

Where the cosine of two tasks' gradients is negative they conflict (Yu et al. 2020, "Gradient
Surgery for Multi-Task Learning", section 2.2, https://arxiv.org/abs/2001.06782); how it develops
says how alike tasks are for the encoder (Wang et al. 2021, "Gradient Vaccine", section 2.2,
https://arxiv.org/abs/2010.05874).

Measuring changes no number of the training: batches come from streams of their own, dropout is off,
so that nothing is drawn, and no gradient is left in a parameter.
"""

from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from trainables.errors import TrialError
from trainables.models.classifier import Classifier
from trainables.results.record import GradientCosines
from trainables.strategies.base import Part, Strategy
from trainables.training.aggregation import Row, gramian
from trainables.training.gradients import StepGradients
from trainables.training.memory import attempt


class CosineMeter:
    """Measures the cosines on a batch of each task, after every so many optimiser steps.

    Args:
        model: the model that is trained, in training mode.
        strategy: gives the batches.
        gradients: computes the loss as training does.
        every: optimiser steps between two measurements.

    Attributes:
        measured: the measurements since the last epoch ended.
    """

    def __init__(
        self, model: Classifier, strategy: Strategy, gradients: StepGradients, every: int
    ) -> None:
        self.measured: list[GradientCosines] = []
        self._model = model
        self._strategy = strategy
        self._gradients = gradients
        self._every = every
        self._streams = [
            strategy.stream(f"cosines of {t.name}", t.train.lengths, strategy.training.batch_size)
            for t in strategy.tasks
        ]

    def is_due(self, step: int) -> bool:
        """Whether to measure after ``step`` (counted from 1); besides, it is at an epoch's end."""
        return step % self._every == 0

    def measure(self, step: int) -> None:
        """Measure after ``step``; nothing where no parameter of the encoder is trained then.

        Raises:
            TrialError: the gradients of all tasks do not fit into memory.
        """
        self._model.eval()
        rows = attempt(partial(self._rows, step))
        self._model.train()
        if rows is None:
            raise TrialError(
                "training.gradient_cosines: the gradients of all tasks do not fit into memory "
                "beside the model; set it to null, or choose a smaller model"
            )
        if rows[0].gradients:
            self.measured.append(GradientCosines(step=step, values=cosines(rows)))

    def end_epoch(self) -> tuple[GradientCosines, ...]:
        """Gives the epoch's measurements, and begins the next epoch."""
        measured, self.measured = tuple(self.measured), []
        return measured

    def _rows(self, step: int) -> list[Row]:
        return [
            Row(self._gradients.of_part(self._part(number, step), step), 1.0)
            for number in range(len(self._strategy.tasks))
        ]

    def _part(self, number: int, step: int) -> Part:
        task, indices = self._strategy.tasks[number], self._streams[number].batch(step)
        return Part(
            self._strategy.head_of(number), task.collate(indices), np.full(len(indices), number)
        )

    def state_dict(self) -> dict[str, Any]:
        """See ``Stateful``."""
        return {"measured": [measured.model_dump() for measured in self.measured]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See ``Stateful``."""
        self.measured = [GradientCosines.model_validate(m) for m in state_dict["measured"]]


def cosines(rows: list[Row]) -> tuple[float | None, ...]:
    """The cosine of every pair of rows: first and second, first and third, second and third ...

    None where a row is 0 or not finite.
    """
    products = gramian(rows).numpy()
    squares = products.diagonal()
    return tuple(
        float(products[i, j] / np.sqrt(squares[i] * squares[j]))
        if 0 < squares[i] * squares[j] < np.inf
        else None
        for i, j in combinations(range(len(rows)), 2)
    )
