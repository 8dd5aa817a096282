"""The optimisers and learning-rate schedules."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from trainables.config.trial import TrainingConfig
from trainables.training.layer_depth import layer_depths


class Adamax(torch.optim.Adamax):
    """Adamax (Kingma and Ba 2015, Algorithm 2) with decoupled weight decay, as in MT-DNN's code.

    torch's Adamax adds the decay to the gradient, so that it is normalised with it. Here each
    parameter group has its decay under the key ``decay``. (MT-DNN's code leaves out the paper's
    bias correction of the first steps, which its warm-up makes small anyway.)
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Decay the parameters that have a gradient, then take an Adamax step."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["decay"])
        return super().step(closure)


def make_optimizer(
    model: nn.Module, training: TrainingConfig, *, per_layer: bool = False
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019, Algorithm 2) or Adamax over all trainable parameters.

    Biases and normalisation weights (every parameter with fewer than two dimensions) are not
    decayed, as in BERT's own optimiser. A head whose task is not in a batch has no gradient, so
    the step changes neither the head nor its moments.

    Each group has a ``scale``, by which the learning rate is multiplied: ``layer_decay`` to the
    power of a parameter's distance from the heads (Clark et al. 2019, BAM, with 0.9, counted as
    their code does): 0 for the heads, 1 for a pooler, 2 for the last of n layers, n + 1 for the
    first and n + 2 for the embeddings.

    Args:
        model: the model to train; frozen parameters are left out.
        training: optimiser, learning rate, weight decay and layer decay.
        per_layer: give every distance from the heads a parameter group of its own, as
            ``apply_settings`` needs. Slightly slower; the numbers are the same.
    """
    depths = layer_depths(model)
    top = max(depths.values())
    groups: dict[tuple[float, bool, int | None], list[nn.Parameter]] = {}
    for decayed in (True, False):
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and (parameter.ndim >= 2) == decayed:
                distance = 0 if name.startswith("heads.") else top - depths[name] + 1
                scale = training.layer_decay**distance
                group = scale, decayed, distance if per_layer else None
                groups.setdefault(group, []).append(parameter)
    settings: dict[str, Any] = {
        "lr": training.learning_rate,
        "betas": (training.adam_beta1, training.adam_beta2),
        "eps": training.adam_epsilon,
    }
    key = "decay" if training.optimizer == "adamax" else "weight_decay"
    listed = [
        {"params": parameters, "scale": scale, key: training.weight_decay if decayed else 0.0}
        | ({} if distance is None else {"distance": distance, "decayed": decayed})
        for (scale, decayed, distance), parameters in groups.items()
    ]
    if training.optimizer == "adamax":
        return Adamax(listed, **settings)
    # The fused kernel takes a fifth of the time of the default on a CPU; MPS lacks it.
    fused = all(p.device.type in ("cpu", "cuda") for p in model.parameters())
    return torch.optim.AdamW(listed, fused=fused, **settings)


def apply_settings(optimizer: torch.optim.Optimizer, training: TrainingConfig) -> None:
    """Apply changed settings to an optimizer that was made with ``per_layer``."""
    for group in optimizer.param_groups:
        group["scale"] = training.layer_decay ** group["distance"]
        key = "decay" if "decay" in group else "weight_decay"
        group[key] = training.weight_decay if group["decayed"] else 0.0


def learning_rate(step: int, total_steps: int, training: TrainingConfig) -> float:
    """Learning rate of optimiser step ``step``, counted from 0, before the groups' scales.

    It rises linearly from 0 during the warm-up; after that ``linear`` falls to 0 at ``total_steps``
    (the first step past the end), ``cosine`` falls to 0 along half a cosine wave, and ``constant``
    stays.
    """
    warmup = warmup_steps(total_steps, training)
    if step < warmup:
        return training.learning_rate * step / warmup
    schedule = SCHEDULES[training.schedule]
    return schedule(training.learning_rate, total_steps - step, total_steps - warmup)


SCHEDULES: dict[str, Callable[[float, int, int], float]] = {
    "constant": lambda peak, remaining, steps: peak,
    "linear": lambda peak, remaining, steps: peak * remaining / steps,
    "cosine": lambda peak, remaining, steps: (
        peak * 0.5 * (1 - math.cos(math.pi * remaining / steps))
    ),
}
"""Learning rate after the warm-up, from its peak, the remaining steps and all steps after it."""


def warmup_steps(total_steps: int, training: TrainingConfig) -> int:
    """Steps of the warm-up, from ``training.warmup``: a share, ``N steps`` or ``N epochs``."""
    if not isinstance(training.warmup, str):
        return round(training.warmup * total_steps)
    number, unit = training.warmup.split()
    steps = float(number)
    if unit.startswith("epoch"):
        steps *= total_steps / training.epochs
    return min(round(steps), total_steps)
