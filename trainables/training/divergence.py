"""Checks for NaN and infinity: training that diverges ends at once."""

import math

import torch
from torch import nn

from trainables.errors import DivergedError


def check_finite(what: str, value: float, step: int, total_steps: int) -> None:
    """Check that ``value`` is finite.

    Args:
        what: what the value is, for the message, for example ``the training loss``.
        value: the number to check.
        step: the current optimiser step, counted from 1.
        total_steps: optimiser steps of the whole training.

    Raises:
        DivergedError: the value is NaN or infinite.
    """
    if not math.isfinite(value):
        raise DivergedError(
            f"{what} became {value} at step {step} of {total_steps}: "
            "lower training.learning_rate or add training.warmup"
        )


def check_weights(model: nn.Module, step: int, total_steps: int) -> None:
    """Check that every weight is finite, before the model is evaluated or saved.

    Raises:
        DivergedError: a weight is NaN or infinite.
    """
    for name, weights in model.named_parameters():
        if not torch.isfinite(weights).all():
            worst = float(weights.detach().flatten()[~torch.isfinite(weights).flatten()][0])
            check_finite(f"a weight of {name}", worst, step, total_steps)
