"""What every family's encoder is with an adapter on it."""

from collections.abc import Callable
from pathlib import Path

import torch

from tests.trainables.models.test_classifier import TEXTS, batch_of
from trainables.config.methods import AdapterConfig
from trainables.config.trial import ModelConfig
from trainables.models.adapter import add_adapter
from trainables.models.classifier import Classifier
from trainables.models.encoder import load_encoder, load_tokenizer
from trainables.models.saved import load_classifier, save_classifier

Configure = Callable[..., ModelConfig]


def adapted(model: ModelConfig, seed: int = 41) -> Classifier:
    encoder = load_encoder(model, seed)
    add_adapter(encoder, AdapterConfig(rank=2), seed)
    return Classifier(encoder, {"a": 2}, seed)


def trained(model: ModelConfig) -> Classifier:
    """Moved by a few large steps."""
    classifier = adapted(model).train()
    parameters = [p for p in classifier.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=0.05)
    batch = batch_of(model, TEXTS)
    for _ in range(3):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(classifier(batch, "a"), torch.tensor([0, 1, 0]))
        loss.backward()
        optimizer.step()
    return classifier


def test_it_starts_as_the_encoder_without_one(family: str, configure: Configure) -> None:
    model = configure(family)
    plain = Classifier(load_encoder(model, 41), {"a": 2}, 41).eval()
    batch = batch_of(model, TEXTS)
    with torch.no_grad():
        assert torch.equal(adapted(model).eval()(batch, "a"), plain(batch, "a"))


def test_only_adapter_and_head_are_trained(family: str, configure: Configure) -> None:
    model = configure(family)
    before, after = adapted(model), trained(model)
    moved = {
        name
        for (name, old), new in zip(before.named_parameters(), after.parameters(), strict=True)
        if not torch.equal(old, new)
    }
    assert all("lora_" in name or name.startswith("heads.") for name in moved)
    assert any("lora_B" in name for name in moved)
    assert after.trained_count < after.parameters_count / 4


def test_what_it_adds_is_two_thin_matrices_per_linear_layer(configure: Configure) -> None:
    model = configure("bert")
    encoder = load_encoder(model, 41)
    plain = sum(p.numel() for p in encoder.parameters())
    linear = [m for m in encoder.modules() if isinstance(m, torch.nn.Linear)]
    head = 2 * encoder.hidden_size + 2
    thin = sum(2 * (layer.in_features + layer.out_features) for layer in linear)
    classifier = adapted(model)
    assert classifier.trained_count == thin + head
    assert classifier.parameters_count == plain + thin + head


def test_the_seed_decides_where_it_starts(configure: Configure) -> None:
    model = configure("bert")
    first, same, other = (adapted(model, seed).state_dict() for seed in (41, 41, 42))
    torch.manual_seed(0)
    assert all(torch.equal(tensor, same[name]) for name, tensor in first.items())
    assert any("lora_A" in n and not torch.equal(t, other[n]) for n, t in first.items())


def test_a_saved_model_needs_no_adapter(family: str, configure: Configure, tmp_path: Path) -> None:
    model = configure(family)
    classifier = trained(model).eval()
    save_classifier(tmp_path / "saved", classifier, load_tokenizer(model), {})
    loaded, _, _ = load_classifier(tmp_path / "saved")
    assert not any("lora" in name for name in loaded.state_dict())
    batch = batch_of(model, TEXTS)
    with torch.no_grad():
        torch.testing.assert_close(loaded(batch, "a"), classifier(batch, "a"), atol=1e-5, rtol=1e-4)
    assert any("lora_A" in name for name in classifier.state_dict())
