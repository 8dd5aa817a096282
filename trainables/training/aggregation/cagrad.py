"""Conflict-averse gradient descent."""

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor


class CAGrad:
    """The gradient near the mean that improves the worst task most.

    Liu et al. 2021, "Conflict-Averse Gradient Descent for Multi-task Learning"
    (https://arxiv.org/abs/2110.14048), Algorithm 1: with the mean g0 of the rows, ``d = g0 + c |g0|
    gw / |gw|``, where gw is the convex combination of rows that minimises ``gw . g0 + c |g0|
    |gw|``. The dual problem has one variable per task and is solved as the authors' code does it,
    by SciPy's SLSQP (torchjd's needs CVXPY). The result is divided by ``1 + c``, so that rows that
    agree give their mean.

    >>> CAGrad(c=0.5)(torch.eye(2, dtype=torch.float64))
    tensor([0.5000, 0.5000], dtype=torch.float64)
    """

    def __init__(self, c: float) -> None:
        self.c = c

    def __call__(self, gramian: Tensor) -> Tensor:
        """Weights of the rows, shape ``(tasks,)``, from their Gramian ``(tasks, tasks)``."""
        products = gramian.numpy()
        tasks = len(products)
        mean = np.full(tasks, 1 / tasks)
        length = self.c * np.sqrt(max(mean @ products @ mean, 0.0))

        def norm(weights: np.ndarray) -> float:
            return float(np.sqrt(max(weights @ products @ weights, 0.0) + 1e-12))

        solution = minimize(
            lambda weights: weights @ products @ mean + length * norm(weights),
            mean,
            jac=lambda weights: products @ mean + length * products @ weights / norm(weights),
            bounds=[(0.0, 1.0)] * tasks,
            constraints={
                "type": "eq",
                "fun": lambda weights: weights.sum() - 1,
                "jac": np.ones_like,
            },
            method="SLSQP",
            options={"ftol": 1e-10},
        )
        best = np.clip(solution.x, 0.0, 1.0)
        return torch.from_numpy((mean + length / norm(best) * best) / (1 + self.c))
