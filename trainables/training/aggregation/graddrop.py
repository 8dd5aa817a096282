"""Gradient sign dropout."""

import torch
from torch import Tensor
from torchjd.aggregation import GradDrop

from trainables.training.aggregation.base import Row, RowAggregation


class SignDropout(RowAggregation):
    """Each coordinate keeps one sign, drawn by how much of the rows has it.

    Chen et al. 2020, "Just Pick a Sign: Optimizing Deep Multitask Models with Gradient Sign
    Dropout", Algorithm 1, lines 10 to 15, on the shared parameters' gradients; divided by the
    number of tasks, as the other methods' results have the scale of a mean. It works on each
    coordinate alone, so parameter by parameter.
    """

    def result(self, rows: list[Row]) -> list[Tensor | None]:
        """See ``RowAggregation.result``."""
        return [
            self._of_parameter(list(gradients), [row.share for row in rows])
            for gradients in zip(*(row.gradients for row in rows), strict=True)
        ]

    @staticmethod
    def _of_parameter(gradients: list[Tensor | None], shares: list[float]) -> Tensor | None:
        there = [g / s for g, s in zip(gradients, shares, strict=True) if g is not None]
        if not there:
            return None
        matrix = torch.stack([gradient.flatten() for gradient in there])
        return GradDrop()(matrix).view_as(there[0]) / len(gradients)
