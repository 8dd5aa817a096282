"""Optimisers, learning-rate schedules and weight decay: known values."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.helpers.tiny_models import FAMILIES, build
from trainables.config.trial import ModelConfig, TrainingConfig
from trainables.models.classifier import Classifier
from trainables.models.encoder import load_encoder
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


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
@pytest.mark.parametrize("warmup", [0.0, 0.25, "5 steps", "1 step", "1.5 epochs", "99 epochs"])
def test_every_schedule_stays_between_zero_and_the_rate(schedule: str, warmup: float | str) -> None:
    actual = rates(20, schedule=schedule, warmup=warmup, epochs=4)
    assert min(actual) >= 0
    assert max(actual) <= RATE


def test_cosine_falls_along_half_a_wave() -> None:
    assert rates(4, schedule="cosine") == pytest.approx(
        [RATE, (0.5 + 0.125**0.5) * RATE, 0.5 * RATE, (0.5 - 0.125**0.5) * RATE]
    )


def test_warmup_in_steps_and_epochs_is_that_of_the_same_share() -> None:
    share = rates(40, warmup=0.25, epochs=4)
    assert rates(40, warmup="10 steps", epochs=4) == share
    assert rates(40, warmup="1 epoch", epochs=4) == share
    assert rates(40, warmup="0.5 epochs", epochs=2) == share


def test_a_warmup_longer_than_training_rises_to_its_end() -> None:
    assert rates(4, warmup="9 epochs") == pytest.approx([0, RATE / 4, RATE / 2, 0.75 * RATE])


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


@pytest.mark.parametrize("optimizer", ["adamw", "adamax"])
def test_only_matrices_decay(optimizer: str) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
    values = {"learning_rate": 0.1, "weight_decay": 0.5, "optimizer": optimizer}
    made = make_optimizer(model, TrainingConfig.model_validate(values))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    made.step()
    values = {name: float(p.detach().mean()) for name, p in model.named_parameters()}
    assert values == pytest.approx({"0.weight": 0.95, "0.bias": 1, "1.weight": 1, "1.bias": 1})


@pytest.mark.parametrize("name", ["adamw", "adamax"])
def test_parameters_without_a_gradient_stay_untouched(name: str) -> None:
    model = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    values = {"weight_decay": 0.5, "optimizer": name}
    optimizer = make_optimizer(model, TrainingConfig.model_validate(values))
    before = [p.detach().clone() for p in model[1].parameters()]
    model[0](torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, model[1].parameters(), strict=True))


def test_adamax_without_decay_is_torchs() -> None:
    ours, theirs = nn.Linear(3, 3), nn.Linear(3, 3)
    theirs.load_state_dict(ours.state_dict())
    training = TrainingConfig(optimizer="adamax", weight_decay=0.0, learning_rate=0.01)
    optimizers = [
        make_optimizer(ours, training),
        torch.optim.Adamax(theirs.parameters(), lr=0.01),
    ]
    for number in range(3):
        for model, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            model(torch.full((2, 3), number - 0.5)).square().sum().backward()
            optimizer.step()
    assert torch.equal(ours.weight, theirs.weight)


@pytest.mark.parametrize("family", FAMILIES)
def test_rates_fall_with_each_layer_from_the_heads_to_the_embeddings(
    family: str, tmp_path: Path
) -> None:
    encoder = load_encoder(ModelConfig(encoder=str(build(family, tmp_path / "m"))), seed=41)
    model = Classifier(encoder, {"a": 2, "b": 3}, seed=41)
    optimizer = make_optimizer(model, TrainingConfig(layer_decay=0.5))
    scale = {id(p): group["scale"] for group in optimizer.param_groups for p in group["params"]}
    actual = {name: scale[id(p)] for name, p in model.named_parameters()}
    assert {rate for name, rate in actual.items() if name.startswith("heads.")} == {1.0}
    assert {rate for name, rate in actual.items() if ".pooler." in name} <= {0.5}
    for layer, expected in ((1, 0.25), (0, 0.125)):
        named = [rate for name, rate in actual.items() if f"layer.{layer}." in name]
        assert named
        assert set(named) == {expected}
    embeddings = [rate for name, rate in actual.items() if "word_embeddings" in name]
    assert set(embeddings) == {0.0625}


def test_without_layer_decay_there_are_two_groups_of_one_rate() -> None:
    groups = make_optimizer(nn.Sequential(nn.Linear(3, 3)), TrainingConfig()).param_groups
    assert [group["scale"] for group in groups] == [1.0, 1.0]
