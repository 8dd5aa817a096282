"""Teacher annealing: what the target is made of, and when."""

import pytest
import torch

from trainables.config.methods import DistillationConfig
from trainables.training.distillation import gold_weight, soft_targets


def test_lambda_rises_from_0_towards_1_in_equal_parts() -> None:
    config = DistillationConfig(teachers="single_task")
    assert [gold_weight(config, step, 4) for step in range(4)] == [0.0, 0.25, 0.5, 0.75]


def test_a_constant_lambda_stays() -> None:
    config = DistillationConfig(teachers="single_task", gold_weight=0.3)
    assert {gold_weight(config, step, 9) for step in range(9)} == {0.3}


@pytest.mark.parametrize(
    ("weight", "expected"), [(0.0, [0.9, 0.1]), (1.0, [0.0, 1.0]), (0.5, [0.45, 0.55])]
)
def test_the_target_lies_between_teacher_and_label(weight: float, expected: list[float]) -> None:
    target = soft_targets(torch.tensor([1]), torch.tensor([[0.9, 0.1]]), weight, 0.0)
    torch.testing.assert_close(target, torch.tensor([expected]))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_with_lambda_1_the_loss_is_that_of_the_labels(smoothing: float) -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(8, 3), torch.randint(3, (8,))
    target = soft_targets(labels, torch.full((8, 3), 1 / 3), 1.0, smoothing)
    soft = torch.nn.functional.cross_entropy(logits, target)
    hard = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    torch.testing.assert_close(soft, hard)


def test_only_the_labels_part_is_smoothed() -> None:
    labels, teacher = torch.tensor([1]), torch.tensor([[0.9, 0.1]])
    target = soft_targets(labels, teacher, 0.5, 0.2)
    # Half of the teacher's, and half of the label's [0.1, 0.9].
    torch.testing.assert_close(target, torch.tensor([[0.5, 0.5]]))
    torch.testing.assert_close(soft_targets(labels, teacher, 0.0, 0.2), teacher)
