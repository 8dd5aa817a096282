"""A step's gradients under every method: repeatable, and single-task training's with one task."""

import copy
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.helpers.trials import runtime, trial_config
from trainables.config.arms import SharedEncoderArm
from trainables.config.trial import LimitsConfig, TrialConfig
from trainables.training.aggregation import GRAMIAN
from trainables.training.loop import TrainingLoop
from trainables.training.weighting import WEIGHTINGS
from trainables.trial.trial import Trial

METHODS = [{"weighting": {"name": name}} for name in WEIGHTINGS] + [
    {"aggregation": {"name": name}} for name in ("sum", *GRAMIAN, "graddrop")
]
LIMITS = LimitsConfig(max_train_examples=12, max_validation_examples=8)


def config(
    method: dict[str, Any], encoder: Path, tasks: tuple[str, ...] | None = None, **settings: Any
) -> TrialConfig:
    values = {"strategy": "shared_encoder", "sampling": {"batch": "joint"}, **method}
    base = trial_config("shared_encoder", encoder, limits=LIMITS, tasks=tasks, **settings)
    return base.model_copy(update={"arm": SharedEncoderArm.model_validate(values)})


def after(steps: int | None, config: TrialConfig, folder: Path) -> TrainingLoop:
    """The loop of a trial after some steps; none: after all of them."""
    trial = Trial(config, runtime(folder))
    for _ in islice(trial.run(), steps):
        pass
    assert trial.loop is not None
    return trial.loop


def gradients(loop: TrainingLoop) -> dict[str, torch.Tensor]:
    loop.optimizer.zero_grad(set_to_none=True)
    step = next(loop.strategy.steps(loop.state.step))
    loop.gradients.add(step, loop.state.step)
    return {n: p.grad.clone() for n, p in loop.model.named_parameters() if p.grad is not None}


def name_of(method: dict[str, Any]) -> str:
    [(key, value)] = method.items()
    return f"{key}-{value['name']}"


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_a_steps_gradients_can_be_computed_again(
    method: dict[str, Any], tiny_bert: Path, tmp_path: Path
) -> None:
    loop = after(2, config(method, tiny_bert), tmp_path)
    state = copy.deepcopy(loop.gradients.weighting.state_dict())
    first, second = gradients(loop), gradients(loop)
    assert str(loop.gradients.weighting.state_dict()) == str(state)
    assert first.keys() == second.keys()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert all(torch.isfinite(tensor).all() for tensor in first.values())
    assert {name.split(".")[1] for name in first if name.startswith("heads.")} == {
        "head_acceptability",
        "head_sentiment",
        "head_paraphrase",
    }


@pytest.fixture(scope="module")
def single(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingLoop:
    base = trial_config("single_task", tiny_bert, limits=LIMITS)
    return after(None, base, tmp_path_factory.mktemp("single"))


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_with_one_task_every_method_gives_the_bits_of_single_task(
    method: dict[str, Any], single: TrainingLoop, tiny_bert: Path, tmp_path: Path
) -> None:
    loop = after(None, config(method, tiny_bert, ("acceptability",)), tmp_path)
    ours, theirs = loop.model.state_dict(), single.model.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    assert loop.state.history[-1].splits == single.state.history[-1].splits


def test_a_joint_step_descends_on_the_weighted_mean_loss_of_its_examples(
    tiny_bert: Path, tmp_path: Path
) -> None:
    weights = {"acceptability": 0.5, "paraphrase": 3.0}
    method = {"weighting": {"name": "fixed", "weights": weights}}
    loop = after(1, config(method, tiny_bert, model={"dropout": 0.0}), tmp_path)
    actual = gradients(loop)
    loop.optimizer.zero_grad()
    step = next(loop.strategy.steps(loop.state.step))
    assert len(step.parts) == 3
    total = torch.zeros(())
    for part in step.parts:
        logits = loop.model(part.tensors, part.head)
        losses = cross_entropy(logits, part.tensors["labels"], reduction="none")
        total = total + weights.get(part.head, 1.0) * losses.sum()
    (total / len(step)).backward()
    for name, parameter in loop.model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(actual[name], parameter.grad, rtol=1e-4, atol=1e-6)


def test_gradnorm_sees_the_norm_of_each_tasks_unweighted_gradient_in_the_last_layer(
    tiny_bert: Path, tmp_path: Path
) -> None:
    method = {"weighting": {"name": "gradnorm"}}
    loop = after(3, config(method, tiny_bert, model={"dropout": 0.0}), tmp_path)
    step = next(loop.strategy.steps(loop.state.step))
    outcome = loop.gradients.add(step, loop.state.step)
    named = loop.model.encoder.named_parameters()
    layer = [parameter for name, parameter in named if "encoder.layer.1." in name]
    assert len(layer) == 16
    for part in step.parts:
        logits = loop.model(part.tensors, part.head)
        loss = cross_entropy(logits, part.tensors["labels"])
        grads = torch.autograd.grad(loss, layer)
        norm = torch.stack([gradient.square().sum() for gradient in grads]).sum().sqrt()
        assert outcome.losses[part.task] == pytest.approx(loss.item(), rel=1e-4)
        assert outcome.norms[part.task] == pytest.approx(norm.item(), rel=1e-3)
