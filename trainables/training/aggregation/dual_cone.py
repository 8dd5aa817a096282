"""The projection that UPGrad needs, without a quadratic-programming package."""

import numpy as np
import torch
from scipy.linalg import cholesky
from scipy.optimize import nnls
from torch import Tensor
from torchjd.linalg import DualConeProjector, PSDMatrix

REGULAR = 1e-4
"""Added to the Gramian's diagonal, relative to its mean, as torchjd does."""


class NonNegativeLeastSquares(DualConeProjector):
    """Projects onto the dual cone of a matrix's rows by non-negative least squares.

    Minimising ``v' G v`` over ``v >= u`` (Quinton and Rey 2024, "Jacobian Descent for
    Multi-Objective Optimization", proposition 1) is, with ``v = u + x`` and ``G = L L'``,
    minimising ``|L' x + L' u|`` over ``x >= 0``.
    """

    def __call__(self, U: Tensor, G: PSDMatrix) -> Tensor:  # noqa: N803
        """See ``DualConeProjector``; ``U`` is ``(..., tasks)``, ``G`` ``(tasks, tasks)``."""
        products = G.double().cpu().numpy()
        products = products + REGULAR * np.diagonal(products).mean() * np.eye(len(products))
        upper = cholesky(products)
        rows = [u + nnls(upper, -upper @ u)[0] for u in U.double().cpu().numpy()]
        return torch.from_numpy(np.stack(rows)).to(U)
