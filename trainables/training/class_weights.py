"""Class weights: how much the examples of each class count in the training loss.

``balanced`` is that of scikit-learn (``sklearn.utils.class_weight.compute_class_weight``, after
King and Zeng 2001, "Logistic Regression in Rare Events Data"): class ``k`` of ``K`` has weight
``n / (K n_k)``, where ``n_k`` of the ``n`` training examples are of class ``k``. The mean weight of
a training example is 1, so the loss keeps its scale.
"""

import numpy as np
import torch


def balanced(counts: np.ndarray) -> torch.Tensor:
    """The weights of the classes of a head.

    Args:
        counts: training examples of each class, shape ``(classes,)``.

    Returns:
        float32 of shape ``(classes,)``; a class without examples has weight 1 and is not counted
        among the ``K``.
    """
    present = counts > 0
    weights = counts.sum() / (present.sum() * np.maximum(counts, 1))
    return torch.from_numpy(np.where(present, weights, 1.0)).float()
