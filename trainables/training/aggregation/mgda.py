"""The multiple-gradient descent algorithm."""

from torch import Tensor
from torchjd.aggregation import MGDAWeighting


def mgda(gramian: Tensor) -> Tensor:
    """Weights of the rows, shape ``(tasks,)``, from their Gramian ``(tasks, tasks)``.

    Désidéri 2012, "Multiple-Gradient Descent Algorithm (MGDA) for Multiobjective Optimization": the
    shortest vector among the rows' convex combinations, found by Frank-Wolfe as in Sener and
    Koltun 2018, "Multi-Task Learning as Multi-Objective Optimization", Algorithm 2.
    """
    return MGDAWeighting()(gramian)
