"""A pretrained encoder of any BERT-like family behind one interface.

What is asked of an encoder is found here: ``check_encoder`` before anything is trained, then
``load_tokenizer`` and ``load_encoder``.
"""

import inspect
from pathlib import Path

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import AutoModel, PretrainedConfig, PreTrainedModel

from trainables.config.trial import ModelConfig
from trainables.models.architecture import (
    fresh_model,
    has_pooler,
    hidden_dropout,
    read_architecture,
)
from trainables.models.check import EncoderInfo, check_encoder
from trainables.models.files import problem
from trainables.models.quiet import quiet
from trainables.models.source import locate
from trainables.models.tokenizer import load_tokenizer
from trainables.seeding import derive_seed

__all__ = ["Encoder", "EncoderInfo", "check_encoder", "load_encoder", "load_tokenizer"]


class Encoder(nn.Module):
    """A transformers model without what differs between families.

    Attributes:
        model: the wrapped model.
        hidden_size: width H of the hidden states.
        dropout: dropout probability of the hidden states.
        has_pooler: whether ``forward`` returns a pooled first token.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        config: PretrainedConfig = model.config
        self.model: PreTrainedModel | PeftModel = model
        self.hidden_size: int = config.hidden_size
        self.dropout = hidden_dropout(config)
        self.has_pooler = has_pooler(model)
        accepts = "token_type_ids" in inspect.signature(model.forward).parameters
        self._segments = accepts and (getattr(config, "type_vocab_size", 0) or 0) > 1

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Encode a padded batch.

        Args:
            input_ids: int64 of shape ``(B, T)``.
            attention_mask: 1 for tokens and 0 for padding, shape ``(B, T)``.
            token_type_ids: segments, shape ``(B, T)``; ignored where the family has none.

        Returns:
            Hidden states ``(B, T, H)``, and the family's pooled first token ``(B, H)``, or
            ``None`` where there is no pooler.
        """
        segments = {"token_type_ids": token_type_ids} if self._segments else {}
        output = self.model(
            input_ids=input_ids, attention_mask=attention_mask, return_dict=True, **segments
        )
        return output.last_hidden_state, output.pooler_output if self.has_pooler else None


def load_encoder(model: ModelConfig, seed: int) -> Encoder:
    """Load an encoder in float32, on the CPU, silently.

    The family's own pooler is kept only where it has pretrained weights, or where all weights are
    random: a fresh pooler would be a head's dense layer under another name. Whatever is newly
    initialised depends on ``seed`` alone, and torch's global generator is left as it was.

    Raises:
        EncoderError: see ``locate`` and ``read_architecture``; or the weights are damaged, or are
            not those of this architecture.
    """
    return read_encoder(model, locate(model, download_weights=True).folder, seed)


def read_encoder(model: ModelConfig, folder: Path, seed: int) -> Encoder:
    """``load_encoder`` for files that have been located already."""
    config = read_architecture(model, folder)
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "encoder"))
        if model.weights == "random":
            return Encoder(fresh_model(model, config))
        try:
            loaded, report = AutoModel.from_pretrained(
                folder,
                config=config,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise problem(
                model, "encoder", f"its weights cannot be loaded ({reason}); fetch them again"
            ) from error
    missing = set(report["missing_keys"])
    fresh_pooler = {key for key in missing if key.startswith("pooler.")}
    if others := sorted(missing - fresh_pooler):
        raise problem(
            model,
            "encoder",
            f"its weights lack {len(others)} of the tensors of a {config.model_type} "
            f"({others[0]} ...), so they belong to another architecture; fetch them again",
        )
    for name, weights in loaded.named_parameters():
        if not weights.isfinite().all():
            raise problem(
                model, "encoder", f"its weights {name} are not all finite; fetch them again"
            )
    if fresh_pooler:
        loaded.pooler = None
    return Encoder(loaded)
