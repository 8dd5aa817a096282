"""Learning-rate schedules and weight decay: known values."""

import pytest
import torch
from torch import nn

from trainables.config import TrainingConfig
from trainables.training.optimizer import learning_rate, make_optimizer

RATE = 1e-3


def rates(total: int, **settings: object) -> list[float]:
    training = TrainingConfig.model_validate({"learning_rate": RATE, **settings})
    return [learning_rate(step, total, training) for step in range(total)]


def test_linear_decay_starts_at_the_rate_and_would_reach_zero_after_the_last_step() -> None:
    assert rates(4) == pytest.approx([RATE, 0.75 * RATE, 0.5 * RATE, 0.25 * RATE])


def test_warmup_rises_from_zero_over_its_share_and_then_decays() -> None:
    assert rates(10, warmup=0.2) == pytest.approx(
        [0, RATE / 2, *(RATE * (10 - step) / 8 for step in range(2, 10))]
    )


def test_constant_stays_after_warmup() -> None:
    assert rates(4, schedule="constant", warmup=0.25) == pytest.approx([0, RATE, RATE, RATE])


def test_linear_decay_agrees_with_transformers_own_schedule() -> None:
    from transformers import get_linear_schedule_with_warmup

    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=RATE)
    schedule = get_linear_schedule_with_warmup(optimizer, 6, 40)
    theirs = []
    for _ in range(40):
        theirs.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates(40, warmup=0.15) == pytest.approx(theirs)


def test_only_matrices_decay() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
    training = TrainingConfig(learning_rate=0.1, weight_decay=0.5)
    optimizer = make_optimizer(model, training)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    values = {name: float(p.detach().mean()) for name, p in model.named_parameters()}
    assert values == pytest.approx({"0.weight": 0.95, "0.bias": 1, "1.weight": 1, "1.bias": 1})


def test_parameters_without_a_gradient_stay_untouched() -> None:
    model = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    optimizer = make_optimizer(model, TrainingConfig(weight_decay=0.5))
    before = [p.detach().clone() for p in model[1].parameters()]
    model[0](torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, model[1].parameters(), strict=True))
