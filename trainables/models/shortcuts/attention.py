"""Attention with dropout on a CPU.

torch's fused attention for CPUs has no dropout, so that in training its general code runs, which
also looks in each row for a token to attend to. In texts there always is one. Without that, and
with masks from random bits (``dropout.py``), attention takes about half the time; what that saves
of a step is in docs/speed.md.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from trainables.models.shortcuts.dropout import dropout as bit_dropout

NAME = "sdpa_with_dropout"
"""Under which transformers knows ``attend``."""


def use_attention(model: PreTrainedModel) -> None:
    """Let a model attend with ``attend`` if it would use torch's attention."""
    if model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(NAME)


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention in the interface of transformers.

    Where there is no dropout, and for what else torch's attention has a special case (causal
    attention without a mask, fewer heads of keys than of queries, biases), this is the ``sdpa`` of
    transformers.

    Args:
        module: the attention layer; says whether it is causal where ``is_causal`` is None.
        query: shape ``(B, heads, T, width)``.
        key: shape ``(B, heads, S, width)``.
        value: shape ``(B, heads, S, width)``.
        attention_mask: True where a query attends to a key, or what is added to the scores;
            broadcast to ``(B, heads, T, S)``.
        dropout: probability that an attention weight is dropped.
        scaling: factor of the scores; None: ``width ** -0.5``.
        is_causal: whether a query sees earlier keys alone, where there is no mask.

    Returns:
        Shape ``(B, T, heads, width)``, and None in place of the weights.
    """
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    special = query.shape[1] != key.shape[1] or (causal and attention_mask is None)
    if not dropout or query.device.type != "cpu" or special or any(_given(others)):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, is_causal, **others
        )
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = torch.matmul(query * scale, key.transpose(2, 3))
    if attention_mask is not None:
        scores += _added(attention_mask, scores.dtype)
    weights = bit_dropout(scores.softmax(dim=-1), dropout)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), None


def _given(others: dict[str, Any]) -> list[bool]:
    """Whether something is asked for that changes what attention computes."""
    return [others.get(name) is not None for name in ("position_bias", "cache", "softcap", "s_aux")]


def _added(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask as what is added to the scores."""
    if mask.dtype != torch.bool:
        return mask.to(dtype)
    lowest = torch.finfo(dtype).min
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(mask.logical_not(), lowest)


ALL_ATTENTION_FUNCTIONS.register(NAME, attend)
ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, sdpa_mask)
