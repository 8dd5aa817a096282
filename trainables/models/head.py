"""Heads: from what an encoder says of a text to one logit per class."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from trainables.seeding import derive_seed

INITIAL_STD = 0.02
"""Standard deviation of fresh weights, as in BERT (Devlin et al. 2019) and its relatives."""


class Head(nn.Module, ABC):
    """One classifier on top of an encoder; each kind of head is one subclass.

    Attributes:
        classes: number of classes C.
    """

    classes: int

    @abstractmethod
    def forward(self, hidden: Tensor, pooled: Tensor | None) -> Tensor:
        """Classify a batch.

        Args:
            hidden: the encoder's hidden states, shape ``(B, T, H)``; the first token is the one
                that stands for the text.
            pooled: the family's pooled first token ``(B, H)``, or ``None``.

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


class LinearHead(Head):
    """The usual fine-tuning head: pooled first token, dropout, one linear layer.

    Where the encoder has no pooler the head brings one, as ``RobertaClassificationHead`` of
    transformers does: first token, dropout, dense layer, tanh, dropout, linear layer.
    """

    def __init__(self, hidden_size: int, classes: int, dropout: float, *, pooler: bool) -> None:
        super().__init__()
        self.classes = classes
        self.dropout = nn.Dropout(dropout)
        self.dense = None if pooler else nn.Linear(hidden_size, hidden_size)
        self.out = nn.Linear(hidden_size, classes)

    def forward(self, hidden: Tensor, pooled: Tensor | None) -> Tensor:
        """See ``Head.forward``."""
        if self.dense is None:
            assert pooled is not None, "this head was made for an encoder with a pooler"
            first = pooled
        else:
            first = torch.tanh(self.dense(self.dropout(hidden[:, 0])))
        return self.out(self.dropout(first))
