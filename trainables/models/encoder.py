"""Loads a pretrained encoder of any BERT-like family behind one interface.

The functions for encoders are all available here: ``check_encoder`` for before training, then
``load_tokenizer`` and ``load_encoder``.
"""

import inspect
from pathlib import Path
from typing import NamedTuple

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from trainables.config.trial import ModelConfig
from trainables.models.architecture import (
    family_of,
    fresh_model,
    has_pooler,
    has_segments,
    head_dropout,
    layer_lists,
    read_architecture,
    speaker,
)
from trainables.models.check import EncoderInfo, check_encoder
from trainables.models.files import encoder_error
from trainables.models.head import masked_mean
from trainables.models.quiet import quiet
from trainables.models.source import locate
from trainables.models.tokenizer import load_tokenizer
from trainables.models.weights import load_weights
from trainables.seeding import derive_seed

__all__ = [
    "Encoder",
    "EncoderInfo",
    "Encoding",
    "check_encoder",
    "load_encoder",
    "load_tokenizer",
]


class Encoding(NamedTuple):
    """What an encoder says of a batch of texts.

    Attributes:
        hidden: hidden states, shape ``(B, T, H)``.
        pooled: the family's pooled first token, shape ``(B, H)``; None without a pooler.
        summary: what stands for each text (``speaker``), shape ``(B, H)``.
    """

    hidden: Tensor
    pooled: Tensor | None
    summary: Tensor


class Encoder(nn.Module):
    """A transformers model with an interface that is the same for all families.

    Attributes:
        model: the wrapped model.
        hidden_size: width H of the hidden states.
        dropout: dropout probability of the family's own classifier.
        has_pooler: whether ``forward`` returns a pooled first token.
        has_segments: whether the two texts of a pair are told apart by segments.
        length: tokens to which every batch is padded; None where padding is invisible.
    """

    def __init__(self, model: PreTrainedModel, max_length: int) -> None:
        """Wrap ``model``, whose texts have at most ``max_length`` tokens."""
        super().__init__()
        config: PretrainedConfig = model.config
        self.model: PreTrainedModel | PeftModel = model
        self.hidden_size: int = config.hidden_size
        self.dropout = head_dropout(config)
        self.has_pooler = has_pooler(model)
        self._family = family_of(config)
        self._speaker = speaker(config)
        self.length = max_length if self._family.fixed_length else None
        self._accepts = frozenset(inspect.signature(model.forward).parameters)
        self.has_segments = "token_type_ids" in self._accepts and has_segments(config)
        # What decoders and XLNet would keep for texts to come.
        self._keep_nothing = {n: False for n in ("use_cache", "use_mems") if n in self._accepts}

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
    ) -> Encoding:
        """Encode a padded batch.

        Args:
            input_ids: int64 of shape ``(B, T)``.
            attention_mask: 1 for tokens and 0 for padding, shape ``(B, T)``.
            token_type_ids: segments, shape ``(B, T)``; ignored if the family has none.

        Returns:
            Hidden states and what is made of them.

        Raises:
            ValueError: the texts are longer than the length to which they are padded.
        """
        width, mask = input_ids.shape[1], attention_mask
        inputs = {"input_ids": input_ids, "attention_mask": mask}
        if self.has_segments and token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        if self.length is not None:
            inputs = self._padded(inputs, self.length)
        if self._family.global_attention:
            inputs["global_attention_mask"] = torch.zeros_like(mask)
            inputs["global_attention_mask"][:, 0] = 1
        inputs = {name: tensor for name, tensor in inputs.items() if name in self._accepts}
        output = self.model(**inputs, **self._keep_nothing, return_dict=True)
        hidden = output.last_hidden_state
        if self.length is not None:
            hidden = hidden[:, :width]
        pooled = output.pooler_output if self.has_pooler else None
        return Encoding(hidden, pooled, self._summary(hidden, mask))

    def _padded(self, inputs: dict[str, Tensor], length: int) -> dict[str, Tensor]:
        """The inputs with the same tokens in all padding, and ``length`` tokens wide."""
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        more = length - ids.shape[1]
        if more < 0:
            raise ValueError(f"texts of {ids.shape[1]} tokens; this model reads {length}")
        padding = self.plain.config.pad_token_id or 0
        filled = inputs | {"input_ids": ids.masked_fill(mask == 0, padding)}
        return {
            name: nn.functional.pad(tensor, (0, more), value=padding * (name == "input_ids"))
            for name, tensor in filled.items()
        }

    @property
    def word_embeddings(self) -> nn.Module:
        """The module that turns token ids into vectors."""
        return self.plain.get_input_embeddings()

    def layer_of(self) -> dict[int, int]:
        """The layer, counted from 0, of each parameter that is in one: ``id`` of it -> layer."""
        return {
            id(parameter): number
            for name in layer_lists(self.plain)
            for number, layer in enumerate(self.plain.get_submodule(name).children())
            for parameter in layer.parameters()
        }

    @property
    def plain(self) -> PreTrainedModel:
        """The transformers model, whose layers may have adapters on them."""
        model = self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model
        assert isinstance(model, PreTrainedModel)
        return model

    def _summary(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """What stands for each text, ``(B, H)``, from its hidden states ``(B, T, H)``."""
        if self._speaker == "first":
            return hidden[:, 0]
        if self._speaker == "mean":
            return masked_mean(hidden, mask)
        last = mask.sum(dim=1) - 1
        return hidden[torch.arange(len(hidden), device=hidden.device), last]


def load_encoder(model: ModelConfig, seed: int) -> Encoder:
    """Load an encoder in float32, on the CPU, silently.

    The family's own pooler is kept only if it has pretrained weights or all weights are random: a
    newly initialised pooler would just duplicate a head's dense layer. New weights depend on
    ``seed`` alone, and torch's global random state is not changed.

    Raises:
        EncoderError: see ``locate`` and ``read_architecture``; or the weights are damaged or of
            another architecture.
    """
    return read_encoder(model, locate(model, download_weights=True).folder, seed)


def read_encoder(model: ModelConfig, folder: Path, seed: int) -> Encoder:
    """``load_encoder`` from the files in ``folder``."""
    config = read_architecture(model, folder)
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "encoder"))
        if model.weights == "random":
            return Encoder(fresh_model(model, config), model.max_length)
        loaded = load_weights(model, config, folder)
    for name, weights in loaded.named_parameters():
        if not weights.isfinite().all():
            raise encoder_error(
                model, "encoder", f"its weights {name} are not all finite; fetch them again"
            )
    return Encoder(loaded, model.max_length)
