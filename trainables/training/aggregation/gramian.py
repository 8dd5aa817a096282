"""Aggregation by weights that depend on the rows' inner products alone."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from trainables.training.aggregation.base import Row, RowAggregation, weighted_sum


class ByGramian(RowAggregation):
    """A sum of the rows, weighted by a function of their Gramian.

    The Gramian (tasks x tasks) is added up parameter by parameter in double precision and scaled
    to mean diagonal 1, since no method's weights depend on the scale. Where it is 0 or not finite
    the rows are averaged: then there is no direction to choose.
    """

    def __init__(
        self, parameters: list[nn.Parameter], seed: int, weighting: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__(parameters, seed)
        self._weighting = weighting

    def result(self, rows: list[Row]) -> list[Tensor | None]:
        """See ``RowAggregation.result``."""
        shares = torch.tensor([row.share for row in rows], dtype=torch.float64)
        products = gramian(rows) / torch.outer(shares, shares)
        scale = products.diagonal().mean()
        if torch.isfinite(products).all() and scale > 0:
            weights = self._weighting(products / scale)
        else:
            weights = torch.full_like(shares, 1 / len(rows))
        factors = (weights / shares).tolist()
        return [
            weighted_sum(list(of_parameter), factors)
            for of_parameter in zip(*(row.gradients for row in rows), strict=True)
        ]


def gramian(rows: list[Row]) -> Tensor:
    """Inner products of the rows, float64 of shape ``(rows, rows)``, on the CPU.

    Those of a matrix's rows are added up in double precision, so that rows of zeros do not count:
    embeddings of words that occur nowhere (``vocabulary.py``).
    """
    products = torch.zeros(len(rows), len(rows), dtype=torch.float64)
    for i, row in enumerate(rows):
        for j, other in enumerate(rows[: i + 1]):
            terms = [
                torch.einsum("...i, ...i -> ...", a, b).sum(dtype=torch.float64)
                for a, b in zip(row.gradients, other.gradients, strict=True)
                if a is not None and b is not None
            ]
            if terms:
                products[i, j] = products[j, i] = torch.stack(terms).sum().cpu()
    return products
