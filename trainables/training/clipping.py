"""Clips gradients to a norm that does not depend on rows of embeddings without a gradient."""

import torch
from torch import Tensor

from trainables.models.classifier import Classifier


def clip_gradients(model: Classifier, max_norm: float) -> Tensor:
    """Scale all gradients so that their norm together is at most ``max_norm``, in place.

    As ``torch.nn.utils.clip_grad_norm_``, but the norm of the word embeddings' gradient is that of
    its rows' norms, added up in double precision: rows of zeros do not change it, so that it is the
    same number whether such rows are there or not (``vocabulary.py``).

    Returns:
        The norm before, of shape ``()``.
    """
    words = {id(parameter) for parameter in model.encoder.word_embeddings.parameters()}
    parameters = [p for p in model.parameters() if p.grad is not None]
    gradients = [p.grad for p in parameters if p.grad is not None and id(p) not in words]
    rows = [
        torch.linalg.vector_norm(p.grad, dim=-1)
        for p in parameters
        if p.grad is not None and id(p) in words
    ]
    norms = [torch.nn.utils.get_total_norm(gradients)]
    norms += [torch.linalg.vector_norm(norm, dtype=torch.float64) for norm in rows]
    total = torch.stack([norm.double() for norm in norms]).norm().float()
    torch.nn.utils.clip_grads_with_norm_(parameters, max_norm, total)
    return total
