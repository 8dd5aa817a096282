"""Training that has left the finite numbers ends at once: what follows would only be noise."""

import math

import torch
from torch import nn

from trainables.errors import DivergedError


def check_finite(what: str, value: float, step: int, total_steps: int) -> None:
    """Find out whether ``what`` (the training loss, for example) is a number.

    Raises:
        DivergedError: it is NaN or infinite.
    """
    if not math.isfinite(value):
        raise DivergedError(
            f"{what} became {value} at step {step} of {total_steps}: "
            "lower training.learning_rate or add training.warmup"
        )


def check_weights(model: nn.Module, step: int, total_steps: int) -> None:
    """Find out whether every weight is a number, before they are measured or kept.

    Raises:
        DivergedError: one is NaN or infinite.
    """
    for name, weights in model.named_parameters():
        if not torch.isfinite(weights).all():
            worst = float(weights.detach().flatten()[~torch.isfinite(weights).flatten()][0])
            check_finite(f"a weight of {name}", worst, step, total_steps)
