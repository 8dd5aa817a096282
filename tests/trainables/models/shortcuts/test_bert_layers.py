"""Shortcuts through BERT's layers change no answer."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.helpers.tiny_encoders import SPECIMENS, build_encoder
from trainables.config.trial import ModelConfig
from trainables.models.classifier import Classifier
from trainables.models.encoder import load_encoder, load_tokenizer
from trainables.models.families import FAMILIES
from trainables.models.shortcuts.attention import use_attention
from trainables.models.shortcuts.bert_layers import use_bert_shortcuts

WITH_SHORTCUTS = [name for name, s in SPECIMENS.items() if FAMILIES[s.kind].bert_layers]

TEXTS = ["a dog", "the cat sees a big red bird", "this house was dull"]


@pytest.fixture(scope="module", params=WITH_SHORTCUTS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelConfig:
    """A specimen of each family that has the shortcuts, without dropout."""
    folder = build_encoder(request.param, tmp_path_factory.mktemp("bert") / request.param)
    return ModelConfig(encoder=str(folder), max_length=48, dropout=0.0)


Answer = Callable[..., tuple[Tensor, dict[str, Tensor]]]


@pytest.fixture
def answer(model: ModelConfig) -> Answer:
    """Logits, and the gradients of their squares, of the plain model or with shortcuts."""
    batch = dict(load_tokenizer(model)(TEXTS, padding=True, return_tensors="pt"))

    def compute(shortcuts: bool, first_token_only: bool = True) -> tuple[Tensor, dict[str, Tensor]]:
        classifier = Classifier(load_encoder(model, 41), {"a": 2}, 41, dropout=0.0)
        if shortcuts:
            use_attention(classifier.encoder.plain)
            use_bert_shortcuts(classifier.encoder, first_token_only=first_token_only)
        logits = classifier.eval()(batch, "a")
        logits.square().sum().backward()
        gradients = {n: p.grad for n, p in classifier.named_parameters() if p.grad is not None}
        return logits.detach(), gradients

    return compute


def test_answers_and_gradients_are_those_of_the_whole_layer(answer: Answer) -> None:
    (expected, gradients), (logits, own) = answer(False), answer(True)
    torch.testing.assert_close(logits, expected, atol=1e-6, rtol=1e-5)
    # What the last layer's other tokens have no part in has a gradient of 0 in the plain model.
    assert own.keys() == gradients.keys()
    for name, gradient in own.items():
        torch.testing.assert_close(gradient, gradients[name], atol=1e-6, rtol=1e-4, msg=name)


def test_in_bf16_hidden_states_stay_so_from_the_first_layer_on(model: ModelConfig) -> None:
    batch = load_tokenizer(model)(TEXTS, padding=True, return_tensors="pt")
    encoder = load_encoder(model, 41).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        plain = encoder(batch["input_ids"], batch["attention_mask"])
        use_bert_shortcuts(encoder, first_token_only=False)
        short = encoder(batch["input_ids"], batch["attention_mask"])
    assert short.hidden.dtype == torch.bfloat16
    assert short.hidden.shape == plain.hidden.shape
    torch.testing.assert_close(short.hidden.float(), plain.hidden.float(), atol=0.1, rtol=0.1)


def test_only_the_first_token_is_left(model: ModelConfig) -> None:
    batch = load_tokenizer(model)(TEXTS, padding=True, return_tensors="pt")
    encoder = load_encoder(model, 41).eval()
    use_bert_shortcuts(encoder, first_token_only=True)
    with torch.no_grad():
        hidden = encoder(batch["input_ids"], batch["attention_mask"]).hidden
    assert hidden.shape == (3, 1, encoder.hidden_size)


def test_a_copy_answers_with_its_own_weights(model: ModelConfig) -> None:
    batch = dict(load_tokenizer(model)(TEXTS, padding=True, return_tensors="pt"))
    classifier = Classifier(load_encoder(model, 41), {"a": 2}, 41, dropout=0.0).eval()
    use_bert_shortcuts(classifier.encoder, first_token_only=True)
    copied = copy.deepcopy(classifier)
    before = classifier(batch, "a")
    assert torch.equal(copied(batch, "a"), before)
    last = classifier.encoder.layer_of()
    with torch.no_grad():
        for parameter in classifier.parameters():
            if last.get(id(parameter)) == max(last.values()):
                parameter.mul_(1.5)
    assert torch.equal(copied(batch, "a"), before)
    assert not torch.equal(classifier(batch, "a"), before)


def test_other_families_remain_as_they_are(tmp_path: Path) -> None:
    model = ModelConfig(encoder=str(build_encoder("mpnet", tmp_path / "mpnet")), max_length=48)
    encoder = load_encoder(model, 41).eval()
    use_bert_shortcuts(encoder, first_token_only=True)
    batch = load_tokenizer(model)(TEXTS, padding=True, return_tensors="pt")
    hidden = encoder(batch["input_ids"], batch["attention_mask"]).hidden
    assert hidden.shape[1] == batch["input_ids"].shape[1]
