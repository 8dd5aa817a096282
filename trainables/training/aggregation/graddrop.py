"""Gradient sign dropout."""

import torch
from torch import Tensor
from torchjd import aggregation as torchjd_aggregation

from trainables.training.aggregation.base import Row, RowAggregation

PIECE = 2**20
"""Coordinates that are combined at once, which bounds the memory besides the rows."""


class GradDrop(RowAggregation):
    """Each coordinate keeps one sign, drawn by how much of the rows has it.

    Chen et al. 2020, "Just Pick a Sign: Optimizing Deep Multitask Models with Gradient Sign
    Dropout" (https://arxiv.org/abs/2010.06808), Algorithm 1, lines 10 to 15, on the shared
    parameters' gradients; divided by the number of tasks, as the other methods' results have the
    scale of a mean. It works on each coordinate alone, so piece by piece.
    """

    def result(self, rows: list[Row]) -> list[Tensor | None]:
        """See ``RowAggregation.result``."""
        return [
            self._combine_parameter(list(gradients), [row.share for row in rows])
            for gradients in zip(*(row.gradients for row in rows), strict=True)
        ]

    @staticmethod
    def _combine_parameter(gradients: list[Tensor | None], shares: list[float]) -> Tensor | None:
        """The result for one parameter, from each row's gradient; built in the first of them."""
        present = [
            (gradient.flatten(), share)
            for gradient, share in zip(gradients, shares, strict=True)
            if gradient is not None
        ]
        if not present:
            return None
        result, _ = present[0]
        for start in range(0, len(result), PIECE):
            piece = slice(start, start + PIECE)
            matrix = torch.stack([flat[piece] / share for flat, share in present])
            result[piece] = torchjd_aggregation.GradDrop()(matrix) / len(gradients)
        return result.view_as(next(gradient for gradient in gradients if gradient is not None))
