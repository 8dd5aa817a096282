"""Heads: from what an encoder says of a text to one logit per class.

To add one, write a subclass of ``Head`` and name it in ``HEADS`` (``trainables/models/heads.py``)
and in ``HeadConfig`` (``trainables/config/methods.py``).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainables.seeding import derive_seed

INITIAL_STD = 0.02
"""Standard deviation of fresh weights, as in BERT (Devlin et al. 2019) and its relatives."""


@dataclass(frozen=True)
class Encoded:
    """What a head sees of a batch.

    Attributes:
        hidden: the encoder's hidden states, shape ``(B, T, H)``.
        summary: the hidden state that stands for the text, shape ``(B, H)``: in most families that
            of the first token (``trainables/models/families.py``).
        pooled: the family's pooled first token ``(B, H)``, or ``None``.
        mask: 1 for tokens and 0 for padding, shape ``(B, T)``.
        texts: 1 in the first text, 2 in the second and 0 elsewhere, shape ``(B, T)``; ``None``
            where the batch has no pairs.
    """

    hidden: Tensor
    summary: Tensor
    pooled: Tensor | None
    mask: Tensor
    texts: Tensor | None


class Head(nn.Module, ABC):
    """One classifier on top of an encoder; each kind of head is one subclass.

    Attributes:
        classes: number of classes C; 1 in a regression, whose only logit is the predicted number.
        reads_all: whether it reads more of a text than ``Encoded.summary`` and ``Encoded.pooled``.
    """

    classes: int
    reads_all = False

    @abstractmethod
    def forward(self, encoded: Encoded) -> Tensor:
        """Classify a batch.

        Returns:
            Logits of shape ``(B, C)``.
        """

    def initialise(self, seed: int, name: str) -> None:
        """Draw all weights from N(0, 0.02) and set all biases to 0.

        The draw depends on ``seed`` and ``name`` alone, so a head starts the same in every
        strategy and whatever other heads there are.
        """
        generator = torch.Generator().manual_seed(derive_seed(seed, f"head/{name}"))
        with torch.no_grad():
            for parameter in self.parameters():
                if parameter.dim() > 1:
                    parameter.normal_(0.0, INITIAL_STD, generator=generator)
                else:
                    parameter.zero_()


def masked_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean of the tokens that are no padding.

    Args:
        hidden: shape ``(B, T, H)``.
        mask: 1 for tokens and 0 for padding, shape ``(B, T)``.

    Returns:
        Shape ``(B, H)``.
    """
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)
