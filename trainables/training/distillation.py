"""Knowledge distillation: mixes the gold labels with a teacher's predictions.

Clark et al. 2019, "BAM! Born-Again Multi-Task Networks for Natural Language Understanding"
(teacher annealing): the student's target for an example is

    lambda * gold + (1 - lambda) * teacher,

where ``gold`` is the one-hot label and ``teacher`` the teacher's distribution over the classes,
without a temperature, and ``lambda`` rises linearly from 0 to 1 over training: at first the student
imitates its teacher, in the end it learns from the labels alone. A constant ``lambda`` is plain
distillation (Hinton et al. 2015) with temperature 1. In a regression, gold target and teacher's
prediction are mixed in the same way.
"""

import torch

from trainables.config.methods import DistillationConfig


def gold_weight(config: DistillationConfig, step: int, total_steps: int) -> float:
    """Lambda, the weight of the gold label, at optimiser step ``step``, counted from 0."""
    if config.gold_weight == "annealed":
        return step / total_steps
    return config.gold_weight


def mixed_targets(labels: torch.Tensor, teacher: torch.Tensor, weight: float) -> torch.Tensor:
    """The targets of a regression's student.

    Args:
        labels: gold targets, shape ``(batch,)``.
        teacher: the teacher's predictions, float32 of shape ``(batch, 1)``.
        weight: lambda, the share of the gold target.

    Returns:
        Targets, float32 of shape ``(batch,)``.
    """
    return torch.lerp(teacher[:, 0], labels.float(), weight)


def soft_targets(
    labels: torch.Tensor, teacher: torch.Tensor, weight: float, smoothing: float
) -> torch.Tensor:
    """The target distributions of the student.

    Args:
        labels: gold classes, int64 of shape ``(batch,)``.
        teacher: the teacher's distributions, shape ``(batch, classes)``.
        weight: lambda, the share of the gold label.
        smoothing: label smoothing of the gold part, in [0, 1); the teacher's part is not
            smoothed.

    Returns:
        Distributions, shape ``(batch, classes)``.
    """
    classes = teacher.shape[1]
    gold = torch.nn.functional.one_hot(labels, classes).to(teacher.dtype)
    if smoothing:
        gold = gold * (1 - smoothing) + smoothing / classes
    return torch.lerp(teacher, gold, weight)
