"""Low-rank adapters on a frozen encoder: what is trained and stored is a small part of it.

Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models": a frozen linear layer ``W x``
becomes ``W x + (alpha / rank) B A x``, where only ``A`` (rank x in) and ``B`` (out x rank) are
trained; ``B`` starts at 0, so training starts from the pretrained encoder. The layers come from
the library peft.
"""

import copy

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel

from trainables.config.methods import AdapterConfig
from trainables.errors import EncoderError
from trainables.models.encoder import Encoder
from trainables.models.quiet import quiet
from trainables.seeding import derive_seed


def add_adapter(encoder: Encoder, config: AdapterConfig, seed: int) -> None:
    """Freeze ``encoder`` and put an adapter on each of its linear layers, in place.

    The start of the adapters depends on ``seed`` alone, and torch's global generator is left as it
    was.

    Raises:
        EncoderError: a layer has no part that an adapter can be put on.
    """
    lora = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules="all-linear",
    )
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "adapter"))
        encoder.model = get_peft_model(encoder.model, lora)
    layer_of = encoder.layer_of()
    reached = {layer_of.get(id(p)) for name, p in encoder.named_parameters() if "lora_" in name}
    if not reached >= set(layer_of.values()):
        raise EncoderError(
            f"adapter: a {encoder.model.config.model_type} has layers without a linear part that "
            "LoRA can take; leave the adapter out"
        )


def merged(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """A copy of an encoder with its adapter added into its own weights; or the encoder itself."""
    if not isinstance(model, PeftModel):
        return model
    plain = copy.deepcopy(model).merge_and_unload()
    assert isinstance(plain, PreTrainedModel)
    return plain
