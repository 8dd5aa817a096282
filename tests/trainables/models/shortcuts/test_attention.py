"""Attention in training is that of transformers, with dropout of its own."""

import pytest
import torch
from torch import Tensor, nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from trainables.models.shortcuts import attention
from trainables.models.shortcuts.attention import attend


class Layer(nn.Module):
    """What attention is told of its layer."""

    is_causal = False


MASKS = {
    "none": None,
    "keys": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]).bool()[:, None, None, :],
    "keys of each query": torch.ones(2, 1, 5, 5).bool().tril(),
    "added": torch.randn(2, 1, 1, 5, generator=torch.Generator().manual_seed(3)),
}


def tensors(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    query, key, value = torch.randn(3, 2, 3, 5, 4, dtype=dtype).unbind()
    return query.requires_grad_(), key.requires_grad_(), value.requires_grad_()


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_with_nothing_dropped_it_is_torchs_attention(
    mask: Tensor | None, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "bit_dropout", lambda weights, p: weights)
    ours, theirs = tensors(dtype), tensors(dtype)
    mask = mask if mask is None or mask.dtype == torch.bool else mask.to(dtype)
    got, _ = attend(Layer(), *ours, mask, dropout=0.1, scaling=0.7)
    expected, _ = sdpa_attention_forward(Layer(), *theirs, mask, scaling=0.7)
    coarse = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(got, expected, atol=coarse, rtol=coarse)
    got.square().sum().backward()
    expected.square().sum().backward()
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our.grad, their.grad, atol=10 * coarse, rtol=5 * coarse)


def test_weights_are_dropped_and_the_mean_stays() -> None:
    torch.manual_seed(2)
    query, key, value = (t.detach().repeat(4000, 1, 1, 1) for t in tensors(torch.float32))
    dropped, _ = attend(Layer(), query, key, value, None, dropout=0.3)
    plain, _ = attend(Layer(), query, key, value, None)
    assert not torch.equal(dropped, plain)
    mean = dropped.view(4000, 2, 5, 3, 4).mean(dim=0)
    torch.testing.assert_close(mean, plain[:2], atol=0.06, rtol=0)


@pytest.mark.parametrize("causal", [None, True])
def test_without_a_mask_a_causal_layer_sees_no_later_token(causal: bool | None) -> None:
    layer = Layer()
    layer.is_causal = True
    query, key, value = tensors(torch.float32)
    changed = value.detach().clone()
    changed[:, :, 1:] += 100
    torch.manual_seed(4)
    before, _ = attend(layer, query, key, value, None, dropout=0.1, is_causal=causal)
    torch.manual_seed(4)
    after, _ = attend(layer, query, key, changed, None, dropout=0.1, is_causal=causal)
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.equal(before[:, 1], after[:, 1])
