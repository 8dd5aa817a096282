"""AdamW with the usual exceptions from weight decay, and the learning-rate schedules."""

import torch
from torch import nn

from trainables.config import TrainingConfig


def make_optimizer(model: nn.Module, training: TrainingConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019, Algorithm 2) over all trainable parameters.

    Biases and normalisation weights (every parameter with fewer than two dimensions) are not
    decayed, as in BERT's own optimiser. A head whose task is not in a batch has no gradient then,
    so the step leaves it and its moments as they are.
    """
    decayed, plain = [], []
    for parameter in model.parameters():
        if parameter.requires_grad:
            (decayed if parameter.ndim >= 2 else plain).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": training.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    # The fused kernel takes a fifth of the time of the default on a CPU; MPS lacks it.
    fused = all(p.device.type in ("cpu", "cuda") for p in decayed + plain)
    return torch.optim.AdamW(
        groups,
        lr=training.learning_rate,
        betas=(training.adam_beta1, training.adam_beta2),
        eps=training.adam_epsilon,
        fused=fused,
    )


def learning_rate(step: int, total_steps: int, training: TrainingConfig) -> float:
    """Learning rate of optimiser step ``step``, counted from 0.

    It rises linearly from 0 over the first ``warmup`` share of the steps; after that ``linear``
    falls to 0 at ``total_steps`` (the first step past the end) and ``constant`` stays.
    """
    warmup_steps = round(training.warmup * total_steps)
    if step < warmup_steps:
        return training.learning_rate * step / warmup_steps
    if training.schedule == "constant":
        return training.learning_rate
    return training.learning_rate * (total_steps - step) / (total_steps - warmup_steps)
