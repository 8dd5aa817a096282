"""Shortcuts through the layers of BERT and its closest relatives (``Family.bert_layers``).

Heads that read the first token alone need nothing else from the last layer: only its keys and
values are computed for all tokens. That leaves out 10 of the 12 units of work of that layer, one
seventh of a model with six layers.

On a CPU in bf16, torch adds a layer's output, bf16, to the embeddings, float32, and so keeps all
hidden states in float32 and converts them for every product. Here they enter the first layer as
bf16, and remain so; each layer normalises them. What that saves is in docs/speed.md.
"""

import functools
from typing import Any

import torch
from torch import Tensor, nn

from trainables.models.architecture import family_of, layer_lists
from trainables.models.encoder import Encoder
from trainables.models.shortcuts.attention import attend


def use_bert_shortcuts(encoder: Encoder, *, first_token_only: bool) -> None:
    """Take the shortcuts in an encoder of such a family, in place; others remain as they are.

    Args:
        encoder: its hidden states have shape ``(B, 1, H)`` afterwards, if ``first_token_only``.
        first_token_only: whether only the first token's last hidden state is read.
    """
    if not family_of(encoder.plain.config).bert_layers:
        return
    [name] = layer_lists(encoder.plain)
    layers: list[Any] = list(encoder.plain.get_submodule(name).children())
    layers[0].register_forward_pre_hook(_enter)
    if first_token_only:
        layers[-1].forward = functools.partial(_first_token, layers[-1])


def _enter(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The inputs of the first layer, with hidden states in the format of products on a CPU."""
    hidden, *others = inputs
    if hidden.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        hidden = hidden.to(torch.get_autocast_dtype("cpu"))
    return (hidden, *others)


def _first_token(
    layer: Any, hidden: Tensor, attention_mask: Tensor | None = None, *_: Any, **__: Any
) -> Tensor:
    """What a layer computes for the first token.

    Args:
        layer: with the submodules of ``BertLayer``.
        hidden: shape ``(B, T, H)``.
        attention_mask: see ``attend``; its first query is the first token.

    Returns:
        Shape ``(B, 1, H)``.
    """
    first = hidden[:, :1]
    attention = layer.attention.self

    def by_head(projected: Tensor) -> Tensor:
        return projected.unflatten(-1, (-1, attention.attention_head_size)).transpose(1, 2)

    context, _weights = attend(
        attention,
        by_head(attention.query(first)),
        by_head(attention.key(hidden)),
        by_head(attention.value(hidden)),
        None if attention_mask is None else attention_mask[:, :, :1],
        dropout=attention.dropout.p if attention.training else 0.0,
        scaling=attention.scaling,
    )
    attended = layer.attention.output(context.flatten(2), first)
    return layer.output(layer.intermediate(attended), attended)
