"""What of a model is trained, and when."""

from pathlib import Path

import pytest

from tests.helpers.trials import finished, trial_config, weights
from trainables.config.methods import GradualFreezing, PlainFreezing
from trainables.config.trial import ModelConfig
from trainables.models.classifier import Classifier
from trainables.models.encoder import load_encoder
from trainables.training.freezing import Freezing


def trained(model: Classifier) -> set[str]:
    """Parts of the model that are trained."""
    parts = {"embeddings": "embeddings", "layer.0": "0", "layer.1": "1", "heads": "head"}
    return {
        short
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
        for part, short in parts.items()
        if part in name
    }


def test_layers_unfreeze_from_the_last_to_the_first(tiny_bert: Path) -> None:
    model = Classifier(load_encoder(ModelConfig(encoder=str(tiny_bert)), 41), {"t": 2}, 41)
    freezing = Freezing(model, GradualFreezing(until=0.5), 12)
    depths = []
    for step in range(12):
        freezing.apply(step)
        depths.append(trained(model))
    assert depths[:2] == [{"head"}] * 2
    assert depths[2:4] == [{"head", "1"}] * 2
    assert depths[4:6] == [{"head", "1", "0"}] * 2
    assert depths[6:] == [{"head", "1", "0", "embeddings"}] * 6


@pytest.mark.parametrize("step", range(12))
def test_it_follows_from_the_step_alone(step: int, tiny_bert: Path) -> None:
    first, other = (
        Classifier(load_encoder(ModelConfig(encoder=str(tiny_bert)), 41), {"t": 2}, 41)
        for _ in range(2)
    )
    config = GradualFreezing(until=1.0)
    through = Freezing(first, config, 12)
    for number in range(step + 1):
        through.apply(number)
    Freezing(other, config, 12).apply(step)
    assert trained(first) == trained(other)


def test_a_frozen_encoder_stays_what_it_was(tiny_bert: Path, tmp_path: Path) -> None:
    base = trial_config("single_task", tiny_bert)
    arm = base.arm.model_copy(update={"freezing": PlainFreezing(name="all")})
    record, trial = finished(base.model_copy(update={"arm": arm}), tmp_path)
    before = load_encoder(base.model, base.seed).state_dict()
    after = weights(trial)
    assert all(tensor.equal(after[f"encoder.{name}"]) for name, tensor in before.items())
    assert record.trained_parameters == sum(
        tensor.numel() for name, tensor in after.items() if name.startswith("heads.")
    )
    assert record.history[0].train_loss != record.history[1].train_loss
