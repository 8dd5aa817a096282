"""The Nash bargaining solution."""

import numpy as np
import torch
from torch import Tensor

REGULAR = 1e-6
"""Added to the cosines' diagonal: the precision to which single precision gives them."""

STEPS = 200
"""More than Newton's method takes: up to 60 with 20 tasks whose rows nearly cancel out."""


class NashMTL:
    """The direction that all tasks agree on when each gains by how well it fits its own gradient.

    Navon et al. 2022, "Multi-Task Learning as a Bargaining Game"
    (https://arxiv.org/abs/2202.01017), Algorithm 1: the weights are the ``a > 0`` with ``K a = 1 /
    a`` of claim 3.1, K the rows' Gramian. The authors approach it by a sequence of convex
    programmes (and torchjd's needs CVXPY with ECOS for them); but a solves exactly what minimises
    the strictly convex ``a' K a / 2 - sum log a``, so here Newton's method does. No state is
    carried from step to step, and the weights are those of this step's rows.

    Rows enter by their directions alone: ``a = b / |row|`` with ``C b = 1 / b``, C the cosines.
    Rows that cancel out (a Pareto stationary point) have no solution; ``REGULAR`` keeps a finite
    there, and the result goes to 0. A row that is 0 has no say.

    Scale: the solution has length ``sqrt(tasks)`` whatever the rows' lengths, and the authors' code
    cuts it to length 1. Here it gets the root mean square of the rows' lengths: then rows that
    agree give their mean, the result scales with the loss, as that of other methods does, and
    ``training.max_grad_norm`` cuts it.

    >>> NashMTL()(torch.eye(2, dtype=torch.float64))
    tensor([0.7071, 0.7071], dtype=torch.float64)
    """

    def __call__(self, gramian: Tensor) -> Tensor:
        """Weights of the rows, shape ``(tasks,)``, from their Gramian ``(tasks, tasks)``."""
        products = gramian.numpy()
        nonzero = np.diagonal(products) > 0
        lengths = np.sqrt(np.diagonal(products)[nonzero])
        cosines = products[np.ix_(nonzero, nonzero)] / np.outer(lengths, lengths)
        weights = np.zeros(len(products))
        weights[nonzero] = bargain(cosines + REGULAR * np.eye(len(cosines))) / lengths
        return torch.from_numpy(weights * np.sqrt(np.trace(products)) / len(products))


def bargain(matrix: np.ndarray) -> np.ndarray:
    """The ``b > 0`` with ``matrix @ b = 1 / b``, shape ``(tasks,)``.

    Newton steps on ``b' M b / 2 - sum log b``, whole ones near the minimum. It is self-concordant,
    so that steps of ``1 / (1 + decrement)`` stay positive and reach the minimum from anywhere (Boyd
    and Vandenberghe 2004, "Convex Optimization", section 9.6).

    Args:
        matrix: M, symmetric and positive definite, shape ``(tasks, tasks)``.
    """
    solution = 1 / np.sqrt(np.diagonal(matrix))
    for _ in range(STEPS):
        slope = matrix @ solution - 1 / solution
        step = np.linalg.solve(matrix + np.diag(solution**-2), slope)
        decrement = np.sqrt(max(slope @ step, 0.0))
        solution = solution - step / (1 + decrement if decrement > 0.25 else 1)
        if decrement < 1e-6:  # The error is now its square.
            break
    return solution
