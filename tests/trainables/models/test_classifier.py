"""Properties that a classifier on any family has."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModel, AutoTokenizer

from trainables.config.trial import ModelConfig
from trainables.errors import EncoderError
from trainables.models.classifier import Classifier
from trainables.models.encoder import load_encoder, load_tokenizer
from trainables.models.quiet import quiet
from trainables.models.saved import load_classifier, save_classifier

Configure = Callable[..., ModelConfig]
TEXTS = ["a dog", "the cat sees a big red bird, and a child never reads", "this house was dull"]


def batch_of(model: ModelConfig, texts: list[str]) -> dict[str, Tensor]:
    tokenizer = load_tokenizer(model)
    return dict(tokenizer(texts, texts[::-1], padding=True, return_tensors="pt"))


def make(model: ModelConfig, heads: dict[str, int], seed: int = 41) -> Classifier:
    return Classifier(load_encoder(model, seed), heads, seed)


def test_padding_changes_nothing(family: str, configure: Configure) -> None:
    model = configure(family)
    classifier = make(model, {"a": 2, "b": 3}).eval()
    # Large weights, so that a difference would show.
    with torch.no_grad():
        for parameter in classifier.head("b").parameters():
            parameter.mul_(50)
    batch = batch_of(model, TEXTS)
    with torch.no_grad():
        together = classifier(batch, "b")
        for row, length in enumerate(batch["attention_mask"].sum(1).tolist()):
            alone = {key: value[row : row + 1, :length] for key, value in batch.items()}
            torch.testing.assert_close(
                classifier(alone, "b")[0], together[row], atol=1e-5, rtol=1e-5
            )
    assert together.shape == (3, 3)
    assert not torch.allclose(together[0], together[1], atol=1e-4)


def test_gradients_reach_the_encoder_and_the_used_head(family: str, configure: Configure) -> None:
    model = configure(family)
    classifier = make(model, {"used": 2, "idle": 2}).train()
    loss = classifier(batch_of(model, TEXTS), "used").square().sum()
    loss.backward()
    unreached = [
        name for name, parameter in classifier.encoder.named_parameters() if parameter.grad is None
    ]
    assert unreached == []
    assert all(p.grad is not None for p in classifier.head("used").parameters())
    assert all(p.grad is None for p in classifier.head("idle").parameters())


def test_parameters_are_those_of_the_encoder_and_of_each_head_once(
    family: str, configure: Configure
) -> None:
    classifier = make(configure(family), {"a": 2, "b": 3})
    parts = [*classifier.encoder.parameters()]
    parts += [*classifier.head("a").parameters(), *classifier.head("b").parameters()]
    assert {id(p) for p in parts} == {id(p) for p in classifier.parameters()}
    assert classifier.parameters_count == sum(p.numel() for p in parts)
    dense = 0 if classifier.encoder.has_pooler else 32 * 32 + 32
    assert sum(p.numel() for p in classifier.head("b").parameters()) == dense + 32 * 3 + 3


@pytest.mark.parametrize("family_", ["bert", "electra"])
def test_head_start_is_independent_of_the_other_heads(family_: str, configure: Configure) -> None:
    model = configure(family_)
    state = torch.get_rng_state()
    alone = make(model, {"cola": 2}).head("cola").state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    among = make(model, {"mrpc": 2, "sst2": 3, "cola": 2})
    assert all(torch.equal(alone[k], v) for k, v in among.head("cola").state_dict().items())
    assert not torch.equal(alone["out.weight"], among.head("mrpc").state_dict()["out.weight"])
    other = make(model, {"cola": 2}, seed=42).head("cola").state_dict()
    assert not torch.equal(alone["out.weight"], other["out.weight"])


def test_head_starts_from_a_narrow_normal_and_zero_biases(configure: Configure) -> None:
    head = make(configure("distilbert"), {"a": 64}).head("a")
    for name, parameter in head.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        else:
            assert parameter.mean().abs() < 0.003
            assert parameter.std().item() == pytest.approx(0.02, rel=0.1)


def test_dropout_of_the_heads(configure: Configure) -> None:
    encoder = load_encoder(configure("bert"), 0)
    assert Classifier(encoder, {"a": 2}, 0).dropout == pytest.approx(0.1)
    model = configure("bert", dropout=0.0)
    classifier = Classifier(load_encoder(model, 0), {"a": 2}, 0, dropout=0.9).train()
    batch = batch_of(model, TEXTS)
    assert not torch.equal(classifier(batch, "a"), classifier(batch, "a"))
    still = Classifier(load_encoder(model, 0), {"a": 2}, 0).train()
    assert torch.equal(still(batch, "a"), still(batch, "a"))


def test_any_task_name_can_have_a_head(configure: Configure) -> None:
    names = {"items": 2, "a.b": 2, "a%2Eb": 2, "a_b": 2, "": 2}
    classifier = make(configure("bert"), names)
    assert len({id(classifier.head(name)) for name in names}) == len(names)


def test_saved_model_comes_back(
    family: str, configure: Configure, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = configure(family, num_layers=1, dropout=0.3)
    classifier = make(model, {"cola": 2, "my.task": 3}).eval()
    extra = {"labels": {"cola": ["no", "yes"]}, "max_length": 32}
    folder = tmp_path / "models" / "best"
    save_classifier(folder, classifier, load_tokenizer(model), extra)
    loaded, tokenizer, extra_again = load_classifier(folder)
    assert capfd.readouterr() == ("", "")

    batch = batch_of(model, TEXTS)
    again = dict(tokenizer(TEXTS, TEXTS[::-1], padding=True, return_tensors="pt"))
    assert all(torch.equal(again[key], value) for key, value in batch.items())
    assert extra_again == extra
    assert not loaded.training
    assert loaded.dropout == pytest.approx(0.3)
    with torch.no_grad():
        for head in ("cola", "my.task"):
            assert torch.equal(loaded(batch, head), classifier(batch, head))
    assert [p.name for p in folder.parent.iterdir()] == ["best"]
    assert {p.suffix for p in folder.iterdir()} == {".json", ".safetensors"}
    with quiet():  # the encoder alone is readable by plain transformers
        plain = AutoModel.from_pretrained(folder)
        AutoTokenizer.from_pretrained(folder)
    assert plain.config.num_hidden_layers == 1


def test_saving_again_replaces_and_a_failure_leaves_the_old(
    configure: Configure, tmp_path: Path
) -> None:
    model = configure("bert")
    tokenizer = load_tokenizer(model)
    folder = tmp_path / "model"
    save_classifier(folder, make(model, {"a": 2}), tokenizer, {"n": 1})
    save_classifier(folder, make(model, {"a": 2}), tokenizer, {"n": 2})
    with pytest.raises(TypeError):
        save_classifier(folder, make(model, {"a": 2}), tokenizer, {"n": object()})
    assert load_classifier(folder)[2] == {"n": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "heads.json").unlink(), "heads.json: cannot be read"),
        (lambda f: (f / "heads.json").write_text("{"), "heads.json: "),
        (
            lambda f: (f / "heads.json").write_text(
                json.dumps(json.loads((f / "heads.json").read_text()) | {"schema_version": 9})
            ),
            "schema_version is 9",
        ),
        (lambda f: (f / "heads.safetensors").write_bytes(b"x" * 40), "heads.safetensors"),
        (lambda f: (f / "model.safetensors").unlink(), "no complete weights"),
    ],
)
def test_damaged_saved_model_is_refused(
    damage: Callable[[Path], object], message: str, configure: Configure, tmp_path: Path
) -> None:
    model = configure("bert")
    save_classifier(tmp_path / "model", make(model, {"a": 2}), load_tokenizer(model), {})
    damage(tmp_path / "model")
    with pytest.raises(EncoderError, match=message) as caught:
        load_classifier(tmp_path / "model")
    assert "\n" not in str(caught.value)
