"""Label smoothing: in the training loss of every strategy, and nowhere else."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy, log_softmax

from tests.helpers.trials import assert_same, finished, runtime, trial_config
from trainables.config.trial import LimitsConfig
from trainables.training.gradients import StepGradients
from trainables.trial.trial import Trial

ARMS = ["single_task", "naive_concat", "naive_concat_union", "shared_encoder_famo"]
LIMITS = LimitsConfig(max_train_examples=12, max_validation_examples=8)
SMOOTHING = 0.2


@pytest.mark.parametrize("arm", ARMS)
def test_a_steps_loss_and_gradients_are_those_of_smoothed_labels(
    arm: str, tiny_bert: Path, tmp_path: Path
) -> None:
    """Over all classes of the head: of a union label space, the other tasks' too."""
    settings = {"dropout": 0.0}
    config = trial_config(arm, tiny_bert, limits=LIMITS, model=settings, label_smoothing=SMOOTHING)
    trial = Trial(config, runtime(tmp_path))
    next(iter(trial.run()))
    loop = trial.loop
    assert loop is not None
    step = next(loop.strategy.steps(loop.state.step))
    classes = loop.strategy.heads[step.parts[0].head]
    assert classes == (6 if arm == "naive_concat_union" else 2)
    number = loop.state.step
    measured = loop.gradients.losses(step, number)
    weights = loop.gradients.weighting.weights(number, measured).tolist()
    loop.optimizer.zero_grad()
    outcome = loop.gradients.add(step, number)
    grads = {n: p.grad.clone() for n, p in loop.model.named_parameters() if p.grad is not None}
    loop.optimizer.zero_grad()
    total = torch.zeros(())
    for part in step.parts:
        logits, labels = loop.model(part.tensors, part.head), part.tensors["labels"]
        # q' = (1 - e) onehot + e / K (Szegedy et al. 2016).
        target = torch.full((len(part), classes), SMOOTHING / classes)
        target[torch.arange(len(part)), labels] += 1 - SMOOTHING
        losses = -(target * log_softmax(logits, dim=1)).sum(dim=1)
        expected = cross_entropy(logits, labels, reduction="none", label_smoothing=SMOOTHING)
        torch.testing.assert_close(losses, expected)
        assert outcome.losses[part.task] == pytest.approx(losses.mean().item(), rel=1e-4)
        assert measured[part.task] == pytest.approx(losses.mean().item(), rel=1e-4)
        total = total + weights[part.task] * losses.sum()
    (total / len(step)).backward()
    for name, parameter in loop.model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(grads[name], parameter.grad, rtol=1e-4, atol=1e-6)


def test_without_smoothing_not_a_bit_is_changed(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = trial_config("shared_encoder", tiny_bert, limits=LIMITS)
    assert config.training.label_smoothing == 0
    ours = finished(config, tmp_path / "ours")
    monkeypatch.setattr(StepGradients, "_loss", lambda _, *given: cross_entropy(*given[:2]))
    assert_same(ours, finished(config, tmp_path / "plain"))


@pytest.mark.parametrize("arm", ["single_task", "naive_concat_union"])
def test_evaluation_measures_the_labels_as_they_are(
    arm: str, tiny_bert: Path, tmp_path: Path
) -> None:
    config = trial_config(arm, tiny_bert, limits=LIMITS, label_smoothing=SMOOTHING, epochs=1)
    record, trial = finished(config, tmp_path)
    frame = pd.read_parquet(trial.run_dir.predictions(record.key))
    for task, rows in frame.groupby("task", observed=True):
        logits = torch.from_numpy(np.stack(rows["logits"].tolist()))
        loss = cross_entropy(logits, torch.tensor(rows["label"].tolist()))
        measured = record.results["validation"][str(task)].loss
        assert measured == pytest.approx(float(loss), rel=1e-5)
