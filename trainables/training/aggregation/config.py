"""ConFIG: conflict-free gradients."""

import torch
from torch import Tensor


class ConFIG:
    """The direction that has the same angle to every row.

    Liu, Chu and Thuerey 2024, "ConFIG: Towards Conflict-free Training of Physics Informed Neural
    Networks" (https://arxiv.org/abs/2408.11104), equation 2, as weights of the rows: with the rows'
    lengths n and cosines C, the direction is ``pinv(units) 1 = units' pinv(C) 1``, scaled to the
    sum of the rows' projections onto it; divided by the number of tasks, as the other methods'
    results have the scale of a mean. torchjd's needs the whole matrix and its pseudoinverse.

    >>> ConFIG()(torch.eye(2, dtype=torch.float64))
    tensor([0.5000, 0.5000], dtype=torch.float64)
    """

    def __call__(self, gramian: Tensor) -> Tensor:
        """Weights of the rows, shape ``(tasks,)``, from their Gramian ``(tasks, tasks)``."""
        lengths = gramian.diagonal().sqrt()
        inverse = torch.where(lengths > 0, 1 / lengths, 0.0)
        cosines = gramian * torch.outer(inverse, inverse)
        weights = inverse * (torch.linalg.pinv(cosines, rtol=1e-10, hermitian=True).sum(dim=1))
        square = weights @ gramian @ weights
        if square <= 0:
            return torch.zeros_like(weights)
        return weights * (gramian @ weights).sum() / square / len(weights)
