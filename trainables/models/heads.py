"""The kinds of heads, by their names in ``HeadConfig``."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from trainables.config.methods import HeadConfig
from trainables.models.head import Encoded, Head, masked_mean
from trainables.models.san import StochasticAnswerNetwork


class PoolerHead(Head):
    """The usual fine-tuning head: pooled first token, dropout, one linear layer.

    Where the encoder has no pooler the head brings one, as ``RobertaClassificationHead`` of
    transformers does: first token, dropout, dense layer, tanh, dropout, linear layer. In a family
    where another token or the mean stands for a text, that takes the first token's place, here and
    in the other heads.
    """

    def __init__(self, hidden_size: int, classes: int, dropout: float, *, pooler: bool) -> None:
        super().__init__()
        self.classes = classes
        self.dropout = nn.Dropout(dropout)
        self.dense = None if pooler else nn.Linear(hidden_size, hidden_size)
        self.out = nn.Linear(hidden_size, classes)

    def forward(self, encoded: Encoded) -> Tensor:
        """See ``Head.forward``."""
        if self.dense is None:
            assert encoded.pooled is not None, "this head was made for an encoder with a pooler"
            pooled = encoded.pooled
        else:
            pooled = torch.tanh(self.dense(self.dropout(encoded.summary)))
        return self.out(self.dropout(pooled))


class FirstTokenHead(Head):
    """The first token as it is, dropout, one linear layer: the head of MT-BERT."""

    def __init__(self, hidden_size: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.classes = classes
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden_size, classes)

    def forward(self, encoded: Encoded) -> Tensor:
        """See ``Head.forward``."""
        return self.out(self.dropout(encoded.summary))


class MeanHead(FirstTokenHead):
    """The mean of all tokens in place of the first one.

    Reimers and Gurevych 2019 (Sentence-BERT) found the mean better than the first token
    for encoders of sentences, such as MiniLM as it comes with this project.
    """

    reads_all = True

    def forward(self, encoded: Encoded) -> Tensor:
        """See ``Head.forward``."""
        return self.out(self.dropout(masked_mean(encoded.hidden, encoded.mask)))


class MlpHead(Head):
    """The first token, dropout, a GELU layer as wide as the encoder, dropout, a linear layer."""

    def __init__(self, hidden_size: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.classes = classes
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(hidden_size, hidden_size)
        self.out = nn.Linear(hidden_size, classes)

    def forward(self, encoded: Encoded) -> Tensor:
        """See ``Head.forward``."""
        first = self.dropout(encoded.summary)
        return self.out(self.dropout(nn.functional.gelu(self.dense(first))))


def make_head(
    config: HeadConfig, hidden_size: int, classes: int, dropout: float, *, pooler: bool
) -> Head:
    """The head that ``config`` names, with its weights not yet drawn.

    Args:
        config: which.
        hidden_size: width of the encoder's hidden states.
        classes: number of classes.
        dropout: where ``config`` has none of its own.
        pooler: whether the encoder has one.
    """
    own = dropout if config.dropout is None else config.dropout
    return HEADS[config.name](hidden_size, classes, own, pooler)


HEADS: dict[str, Callable[[int, int, float, bool], Head]] = {
    "pooler": lambda width, classes, dropout, pooler: PoolerHead(
        width, classes, dropout, pooler=pooler
    ),
    "first_token": lambda width, classes, dropout, _: FirstTokenHead(width, classes, dropout),
    "mean": lambda width, classes, dropout, _: MeanHead(width, classes, dropout),
    "mlp": lambda width, classes, dropout, _: MlpHead(width, classes, dropout),
    "san": lambda width, classes, dropout, _: StochasticAnswerNetwork(width, classes, dropout),
}
