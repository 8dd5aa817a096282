"""Gradients are clipped as torch does it, whatever rows of zeros the embeddings have."""

from pathlib import Path

import pytest
import torch

from trainables.config.trial import ModelConfig
from trainables.models.classifier import Classifier
from trainables.models.encoder import load_encoder
from trainables.training.clipping import clip_gradients


@pytest.fixture
def model(tiny_bert: Path) -> Classifier:
    """A classifier with gradients, but for one parameter."""
    encoder = load_encoder(ModelConfig(encoder=str(tiny_bert), max_length=32), 41)
    model = Classifier(encoder, {"a": 2}, 41)
    torch.manual_seed(7)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    next(iter(model.heads.parameters())).grad = None
    return model


@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_it_clips_as_torch_does(model: Classifier, max_norm: float) -> None:
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    expected = torch.nn.utils.get_total_norm(gradients)
    norm = clip_gradients(model, max_norm)
    torch.testing.assert_close(norm, expected)
    factor = min(1.0, max_norm / (float(expected) + 1e-6))
    clipped = [p.grad for p in model.parameters() if p.grad is not None]
    for before, after in zip(gradients, clipped, strict=True):
        torch.testing.assert_close(after, before * factor)
