"""Low-rank adapters on a frozen encoder: what is trained and stored is a small part of it.

Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models": a frozen linear layer ``W x``
becomes ``W x + (alpha / rank) B A x``, where only ``A`` (rank x in) and ``B`` (out x rank) are
trained; ``B`` starts at 0, so training starts from the pretrained encoder. The layers come from
the library peft.

The frozen ``W`` can be kept in bfloat16, which halves what most of the encoder takes. It is
rounded once, and computed with in the number format of the pass; adapters, heads, norms and biases
stay in float32. Weights that were published in bfloat16 lose nothing.
"""

import copy
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from trainables.config.methods import AdapterConfig
from trainables.errors import EncoderError
from trainables.models.architecture import family_of
from trainables.models.encoder import Encoder
from trainables.models.quiet import quiet
from trainables.seeding import derive_seed


def add_adapter(encoder: Encoder, config: AdapterConfig, seed: int) -> None:
    """Freeze ``encoder`` and put an adapter on each of its linear layers, in place.

    Those that are never called (``Family.idle``) get none.

    The start of the adapters depends on ``seed`` alone, and torch's global generator is left as it
    was.

    Raises:
        EncoderError: a layer has no part that an adapter can be put on.
    """
    plain = encoder.model
    idle = family_of(plain.config).idle
    lora = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules="all-linear",
        exclude_modules=idle.format(**plain.config.to_dict()) if idle else None,
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in plain.modules()),
    )
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "adapter"))
        encoder.model = get_peft_model(plain, lora)
    layer_of = encoder.layer_of()
    reached = {layer_of.get(id(p)) for name, p in encoder.named_parameters() if "lora_" in name}
    if not reached >= set(layer_of.values()):
        raise EncoderError(
            f"adapter: a {plain.config.model_type} has layers without a linear part that LoRA can "
            "take; leave the adapter out"
        )
    if (config.frozen or family_of(plain.config).frozen) == "bf16":
        _keep_in_half(encoder)


def merged(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """A copy of an encoder with its adapter added into its own weights, all in float32; or the
    encoder itself.
    """
    if not isinstance(model, PeftModel):
        return model
    plain = copy.deepcopy(model).float().merge_and_unload()
    assert isinstance(plain, PreTrainedModel)
    return plain


class _Product(torch.autograd.Function):
    """``x W^T + b`` with a frozen matrix in bfloat16, in the number format of ``x``.

    The backward pass keeps ``W`` as it is: the converted copy lives no longer than the product.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return functional.linear(inputs, weight.to(inputs.dtype), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return gradients[0] @ weight.to(gradients[0].dtype), None, None


def _product(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """See ``_Product``; within autocast in its number format."""
    kind = inputs.device.type
    if torch.is_autocast_enabled(kind):
        dtype = torch.get_autocast_dtype(kind)
        inputs, bias = inputs.to(dtype), None if bias is None else bias.to(dtype)
    result = _Product.apply(inputs, weight, bias)
    assert isinstance(result, Tensor)
    return result


class _HalfLinear(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return _product(input, self.weight, self.bias)


class _HalfConv1D(Conv1D):
    def forward(self, x: Tensor) -> Tensor:
        return _product(x, self.weight.T, self.bias)


class _HalfEmbedding(nn.Embedding):
    """Word embeddings, which some families scale."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).float() * getattr(self, "embed_scale", 1.0)


def _half_class(module: nn.Module) -> type[nn.Module] | None:
    """The class that reads a module's matrix from bfloat16; None if the module has no such class.

    Word embeddings that are scaled have an ``embed_scale`` in all families.
    """
    if isinstance(module, nn.Embedding):
        known = type(module) is nn.Embedding or hasattr(module, "embed_scale")
        return _HalfEmbedding if known else None
    return {nn.Linear: _HalfLinear, Conv1D: _HalfConv1D}.get(type(module))


def _keep_in_half(encoder: Encoder) -> None:
    """Turn the matrices of the frozen linear layers and of the word embeddings into bfloat16.

    Without those that transformers keeps in float32 (a part of T5).
    """
    words = next(encoder.word_embeddings.parameters())
    model: Any = encoder.model
    full = getattr(model.get_base_model(), "_keep_in_fp32_modules", None) or ()
    for name, module in model.named_modules():
        half = _half_class(module)
        if half is None or not set(full).isdisjoint(name.split(".")):
            continue
        weight = module.weight
        assert isinstance(weight, nn.Parameter)
        embedding = half is _HalfEmbedding
        if weight.requires_grad or (embedding and weight is not words):
            continue
        module.__class__ = half
        weight.data = weight.data.to(torch.bfloat16)
