"""Dropout on a CPU whose random masks are made four elements at a time.

torch draws each element of a mask by itself, which takes 7 to 8 ns on one core. Here a random
64-bit number gives four elements, so that a mask takes about 2 ns. What that saves of a step is in
docs/speed.md.
"""

from typing import Any

import torch
from torch import Tensor, nn

_BITS = 15
"""Random bits of an element: a probability is rounded to a multiple of 2 ** -15."""

_INTEGERS = {torch.float32: torch.int32, torch.bfloat16: torch.int16}
"""Number format -> integers of the same size."""


class BitDropout(nn.Dropout):
    """``torch.nn.Dropout`` with masks from random bits."""

    def forward(self, input: Tensor) -> Tensor:
        """See ``dropout``; in evaluation the input as it is."""
        return dropout(input, self.p) if self.training else input


def use_bit_dropout(model: nn.Module) -> None:
    """Replace all modules ``torch.nn.Dropout`` in ``model``."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Dropout:
                setattr(parent, name, BitDropout(child.p))


def dropout(values: Tensor, p: float) -> Tensor:
    """Set elements to 0 with probability ``p`` and multiply the others by ``1 / (1 - p)``.

    The masks follow from torch's global random state. On another device than a CPU this is
    ``torch.nn.functional.dropout``.

    Args:
        values: any shape.
        p: in [0, 1].
    """
    drop = round(p * 2**_BITS)
    if values.device.type != "cpu" or values.dtype not in _INTEGERS or not 0 < drop < 2**_BITS:
        return nn.functional.dropout(values, p)
    result = _Dropped.apply(values, drop)  # type: ignore[no-untyped-call]
    assert isinstance(result, Tensor)
    return result


class _Dropped(torch.autograd.Function):
    """Dropout with probability ``drop / 2 ** _BITS``; keeps two bytes of an element."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, drop: int) -> Tensor:
        mask = _random_mask(values.shape, drop)
        ctx.save_for_backward(mask)
        ctx.scale = 2**_BITS / (2**_BITS - drop)
        return _masked(values, mask, ctx.scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors
        return _masked(gradients[0], mask, ctx.scale), None


def _random_mask(shape: torch.Size, drop: int) -> Tensor:
    """All 16 bits 0 with probability ``drop / 2 ** _BITS``, else 1; int16 of ``shape``."""
    count = shape.numel()
    drawn = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    lowest = -(2 ** (_BITS - 1))
    numbers = drawn.view(torch.int16)[:count].bitwise_right_shift_(16 - _BITS)
    # Negative, and so all ones after the shift, except for the ``drop`` lowest numbers.
    numbers.neg_().add_(lowest + drop - 1).bitwise_right_shift_(15)
    return numbers.view(shape)


def _masked(values: Tensor, mask: Tensor, scale: float) -> Tensor:
    """``values`` where the mask has bits, multiplied by ``scale``, and 0 elsewhere."""
    integers = _INTEGERS[values.dtype]
    kept = values.contiguous().view(integers).bitwise_and(mask.to(integers))
    return kept.view(values.dtype).mul_(scale)
