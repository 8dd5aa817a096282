"""The encoders of text-to-text models, without their decoders."""

from typing import Any, ClassVar

import torch
from torch import nn
from transformers import (
    AutoModel,
    BartPreTrainedModel,
    MT5EncoderModel,
    PretrainedConfig,
    PreTrainedModel,
    T5EncoderModel,
    UMT5EncoderModel,
)
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.bart.modeling_bart import BartEncoder, BartScaledWordEmbedding


class BartEncoderModel(BartPreTrainedModel):
    """BART's encoder, with the tensors' names of ``BartModel``, as ``T5EncoderModel`` is T5's.

    transformers has ``BartEncoder`` alone, which names its tensors in another way than the
    published weights.
    """

    _tied_weights_keys: ClassVar = {"encoder.embed_tokens.weight": "shared.weight"}
    _keys_to_ignore_on_load_unexpected: ClassVar = [r"^decoder\."]

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        scale = config.d_model**0.5 if config.scale_embedding else 1.0
        self.shared = BartScaledWordEmbedding(
            config.vocab_size, config.d_model, config.pad_token_id, embed_scale=scale
        )
        self.encoder = BartEncoder(config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The word embeddings, which are the encoder's too."""
        return self.shared

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the word embeddings."""
        self.shared = value
        self.encoder.set_input_embeddings(value)

    def forward(
        self, input_ids: Any = None, attention_mask: Any = None, **kwargs: Any
    ) -> BaseModelOutput:
        """See ``BartEncoder.forward``."""
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask, **kwargs)


_ENCODERS: dict[str, type[PreTrainedModel]] = {
    "bart": BartEncoderModel,
    "mt5": MT5EncoderModel,
    "t5": T5EncoderModel,
    "umt5": UMT5EncoderModel,
}
"""Type of a text-to-text model -> the class of its encoder."""


def model_class(config: PretrainedConfig) -> Any:
    """The class to load a model with: ``AutoModel``, or that of a text-to-text model's encoder."""
    return _ENCODERS.get(config.model_type, AutoModel)


def new_model(config: PretrainedConfig) -> PreTrainedModel:
    """A model of ``model_class`` with random weights in float32."""
    kind = _ENCODERS.get(config.model_type)
    return AutoModel.from_config(config, dtype=torch.float32) if kind is None else kind(config)
