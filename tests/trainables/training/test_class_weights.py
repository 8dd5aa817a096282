"""Class weights: scikit-learn's formula, in the training loss of every strategy."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn.functional import log_softmax

from tests.helpers.trials import runtime, trial_config
from trainables.config.trial import LimitsConfig, TrialConfig
from trainables.strategies.base import Step
from trainables.training.class_weights import balanced
from trainables.training.loop import TrainingLoop
from trainables.trial.trial import Trial

LIMITS = LimitsConfig(max_train_examples=31, max_validation_examples=8)


@pytest.mark.parametrize("counts", [[5, 5], [90, 9, 1], [1, 1000]])
def test_balanced_is_that_of_scikit_learn(counts: list[int]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    expected = compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
    weights = balanced(np.array(counts)).numpy()
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    assert weights[labels].mean() == pytest.approx(1)


def test_a_class_without_examples_changes_nothing() -> None:
    assert balanced(np.array([30, 0, 10])).tolist() == [
        *balanced(np.array([30, 10]))[:1],
        1.0,
        *balanced(np.array([30, 10]))[1:],
    ]


def started(config: TrialConfig, folder: Path) -> tuple[TrainingLoop, Step]:
    """A trial's training loop after one step, and the next step."""
    trial = Trial(config, runtime(folder))
    next(iter(trial.run()))
    assert trial.loop is not None
    return trial.loop, next(trial.loop.strategy.steps(trial.loop.state.step))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize(
    "arm", ["single_task", "naive_concat", "naive_concat_union", "shared_encoder"]
)
def test_the_loss_weighs_each_example_by_its_class(
    arm: str, smoothing: float, tiny_bert: Path, tmp_path: Path
) -> None:
    config = trial_config(
        arm,
        tiny_bert,
        limits=LIMITS,
        model={"dropout": 0.0},
        label_smoothing=smoothing,
        class_weights="balanced",
    )
    loop, step = started(config, tmp_path)
    strategy = loop.strategy
    labels: dict[str, list[int]] = {head: [] for head in strategy.heads}
    for task in range(len(config.tasks)):
        own = torch.from_numpy(np.array(loop.splits[task]["train"].labels))
        offset = 2 * task if arm == "naive_concat_union" else 0
        labels[strategy.head_of(task)] += (own + offset).tolist()
    measured = loop.gradients.losses(step, loop.state.step)
    for part in step.parts:
        classes = strategy.heads[part.head]
        weights = torch.tensor(
            compute_class_weight("balanced", classes=np.arange(classes), y=labels[part.head]),
            dtype=torch.float32,
        )
        assert len(weights.unique()) > 1
        logits, gold = loop.model(part.tensors, part.head), part.tensors["labels"]
        target = torch.full((len(part), classes), smoothing / classes)
        target[torch.arange(len(part)), gold] += 1 - smoothing
        expected = -(target * weights * log_softmax(logits, dim=1)).sum() / len(part)
        assert measured[part.task] == pytest.approx(expected.item(), rel=1e-4)


def test_micro_batches_change_no_gradient(tiny_bert: Path, tmp_path: Path) -> None:
    gradients = []
    for number in (1, 4):
        config = trial_config(
            "shared_encoder",
            tiny_bert,
            limits=LIMITS,
            model={"dropout": 0.0},
            class_weights="balanced",
            gradient_accumulation=number,
        )
        loop = started(config.model_copy(update={"seed": 7}), tmp_path / str(number))[0]
        torch.manual_seed(0)
        for parameter in loop.model.parameters():
            torch.nn.init.normal_(parameter, std=0.02)
        loop.optimizer.zero_grad()
        loop.gradients.add(next(loop.strategy.steps(0)), 0)
        gradients.append([p.grad for p in loop.model.parameters() if p.grad is not None])
    for whole, parts in zip(*gradients, strict=True):
        torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-6)


def test_only_a_trial_with_weights_has_them_in_its_key(tiny_bert: Path) -> None:
    config = trial_config("single_task", tiny_bert, limits=LIMITS)
    dumped = config.model_dump(mode="json")
    dumped["training"].pop("class_weights")
    assert TrialConfig.model_validate(dumped).key == config.key
    training = config.training.model_copy(update={"class_weights": "balanced"})
    assert config.model_copy(update={"training": training}).key != config.key
