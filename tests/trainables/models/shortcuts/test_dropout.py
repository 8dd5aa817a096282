"""Dropout with masks from random bits does what torch's does."""

import pytest
import torch
from torch import nn

from trainables.models.shortcuts.dropout import BitDropout, dropout, use_bit_dropout

FORMATS = [torch.float32, torch.bfloat16]
COUNT = 200_001
"""Elements: no multiple of four."""


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("p", [0.02, 0.1, 0.5, 0.9])
def test_elements_are_dropped_with_their_probability_and_the_mean_stays(
    p: float, dtype: torch.dtype
) -> None:
    torch.manual_seed(5)
    result = dropout(torch.ones(COUNT, dtype=dtype), p).double()
    share = (result == 0).double().mean()
    assert abs(share - p) < 5 * (p * (1 - p) / COUNT) ** 0.5 + 2**-15
    kept = result[result != 0].unique()
    assert kept.tolist() == [pytest.approx(1 / (1 - p), rel=5e-3)]
    # Neighbours, which come from one random number, and other elements are independent.
    dropped = (result == 0).double() - p
    for distance in (1, 2, 3, 4, 8):
        together = (dropped[:-distance] * dropped[distance:]).mean()
        assert abs(together) < 5 * p * (1 - p) / COUNT**0.5


@pytest.mark.parametrize("dtype", FORMATS)
def test_the_gradient_passes_where_the_element_was_kept(dtype: torch.dtype) -> None:
    values = torch.randn(7, 33, dtype=dtype, requires_grad=True)
    result = dropout(values.transpose(0, 1), 0.3)
    result.sum().backward()
    assert values.grad is not None
    kept = (result != 0).T
    assert kept.any()
    assert not kept.all()
    scale = float(values.grad.max())
    assert scale == pytest.approx(1 / 0.7, rel=5e-3)
    torch.testing.assert_close(values.grad, kept * torch.tensor(scale, dtype=dtype))
    torch.testing.assert_close(result.detach().T, values.detach() * values.grad)


def test_the_masks_follow_from_the_random_state() -> None:
    values = torch.ones(1000)
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append((dropout(values, 0.5), dropout(values, 0.5)))
    (first, then), again, other = results
    assert not torch.equal(first, then)
    assert torch.equal(first, again[0])
    assert torch.equal(then, again[1])
    assert not torch.equal(first, other[0])


def test_at_the_ends_of_the_range_it_keeps_or_drops_all() -> None:
    values = torch.randn(100)
    assert torch.equal(dropout(values, 0.0), values)
    assert torch.equal(dropout(values, 1.0), torch.zeros(100))


def test_every_dropout_of_a_model_is_replaced_and_does_nothing_in_evaluation() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Dropout(0.25)), nn.Dropout1d(0.5))
    use_bit_dropout(model)
    inner = model.get_submodule("1.0")
    assert isinstance(inner, BitDropout)
    assert inner.p == 0.25
    assert type(model[2]) is nn.Dropout1d
    values = torch.randn(3, 4)
    assert torch.equal(inner.eval()(values), values)
    assert not torch.equal(inner.train()(values), values)
