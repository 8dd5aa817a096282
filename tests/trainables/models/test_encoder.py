"""Properties that an encoder of every family has."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModel
from transformers.utils import logging

from trainables.config.trial import ModelConfig
from trainables.errors import EncoderError
from trainables.models.encoder import Encoder, Encoding, load_encoder, load_tokenizer
from trainables.models.quiet import quiet

Configure = Callable[..., ModelConfig]
Copied = Callable[[str, Path], Path]
WITH_POOLER = {"bert", "roberta", "mpnet"}


def batch_of(model: ModelConfig) -> dict[str, Tensor]:
    """Three pairs of different lengths, padded."""
    texts = ["the cat sees a dog", "a bird", "this old teacher never reads the big book!"]
    tokenizer = load_tokenizer(model)
    return dict(tokenizer(texts, texts[::-1], padding=True, return_tensors="pt"))


def encode(encoder: Encoder, batch: dict[str, Tensor]) -> Encoding:
    return encoder(batch["input_ids"], batch["attention_mask"], batch.get("token_type_ids"))


def rewrite(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    """SettingChange the tensors of a model folder."""
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def test_output_equals_the_plain_model(
    family: str, configure: Configure, tiny_models: dict[str, Path]
) -> None:
    model = configure(family)
    batch = batch_of(model)
    encoder = load_encoder(model, seed=0).eval()
    with quiet():
        plain = AutoModel.from_pretrained(tiny_models[family]).eval()
    families = {"bert", "electra"} if "token_type_ids" in batch else set()
    inputs = {k: v for k, v in batch.items() if k != "token_type_ids" or family in families}
    with torch.no_grad():
        hidden, pooled, summary = encode(encoder, batch)
        expected = plain(**inputs)
    assert torch.equal(hidden, expected.last_hidden_state)
    assert torch.equal(summary, hidden[:, 0])
    assert encoder.hidden_size == hidden.shape[-1] == 32
    assert encoder.dropout == pytest.approx(0.2 if family == "distilbert" else 0.1)
    assert encoder.has_pooler == (pooled is not None) == (family in WITH_POOLER)
    if pooled is not None:
        assert torch.equal(pooled, expected.pooler_output)


def test_segments_matter_where_the_family_has_them(family: str, configure: Configure) -> None:
    model = configure(family)
    batch = batch_of(model)
    encoder = load_encoder(model, seed=0).eval()
    with torch.no_grad():
        zero = encoder(batch["input_ids"], batch["attention_mask"], None)[0]
        segment_1 = encoder(
            batch["input_ids"], batch["attention_mask"], torch.ones_like(batch["input_ids"])
        )[0]
    assert torch.equal(zero, segment_1) == (family not in {"bert", "electra"})


def test_num_layers_keeps_the_first_layers(family: str, configure: Configure) -> None:
    whole = load_encoder(configure(family), seed=0)
    cut = load_encoder(configure(family, num_layers=1), seed=0)
    assert cut.model.config.num_hidden_layers == 1
    kept = cut.state_dict()
    state = whole.state_dict()
    assert 0 < len(kept) < len(state)
    assert all(torch.equal(value, state[key]) for key, value in kept.items())
    assert any("layer.0." in key for key in kept)
    assert not any("layer.1." in key for key in kept)


def test_dropout_override_reaches_every_dropout(family: str, configure: Configure) -> None:
    model = configure(family, dropout=0.0)
    encoder = load_encoder(model, seed=0).train()
    assert encoder.dropout == 0.0
    assert {m.p for m in encoder.modules() if isinstance(m, nn.Dropout)} == {0.0}
    batch = batch_of(model)
    first, again = encode(encoder, batch)[0], encode(encoder, batch)[0]
    assert torch.equal(first, again)  # nothing is dropped inside the attention either
    assert torch.allclose(first, encode(encoder.eval(), batch)[0], atol=1e-6)
    own = load_encoder(configure(family), seed=0).train()
    assert not torch.equal(encode(own, batch)[0], encode(own, batch)[0])


@pytest.mark.parametrize("weights", ["pretrained", "random"])
def test_start_depends_on_the_seed_alone(
    family: str, weights: str, configure: Configure, tiny_models: dict[str, Path]
) -> None:
    model = configure(family, weights=weights)
    state = torch.get_rng_state()
    first = load_encoder(model, seed=41).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(7)
    again = load_encoder(model, seed=41).state_dict()
    other = load_encoder(model, seed=42).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    same = all(torch.equal(value, other[key]) for key, value in first.items())
    assert same == (weights == "pretrained")


@pytest.mark.parametrize("family_with_pooler", sorted(WITH_POOLER))
def test_pooler_without_pretrained_weights_is_left_out(
    family_with_pooler: str, tmp_path: Path, configure: Configure, copied: Copied
) -> None:
    folder = copied(family_with_pooler, tmp_path / "copy")
    rewrite(folder, lambda t: {k: v for k, v in t.items() if "pooler" not in k})
    encoder = load_encoder(configure(folder), seed=0)
    assert not encoder.has_pooler
    assert encode(encoder, batch_of(configure(folder)))[1] is None
    assert not [name for name, _ in encoder.named_parameters() if "pooler" in name]
    # Where all weights are random, the family's pooler is as good as the rest of them.
    assert load_encoder(configure(folder, weights="random"), seed=0).has_pooler


def test_checkpoint_of_a_language_model_is_fine(
    tmp_path: Path, configure: Configure, copied: Copied
) -> None:
    folder = copied("bert", tmp_path / "copy")
    head = {"cls.predictions.bias": torch.zeros(3)}
    rewrite(folder, lambda t: {f"bert.{key}": value for key, value in t.items()} | head)
    expected = load_encoder(configure("bert"), seed=0).state_dict()
    loaded = load_encoder(configure(folder), seed=0).state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in loaded.items())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: {k: v for k, v in t.items() if "layer.1" not in k}, "weights lack"),
        (lambda t: {f"other.{k}": v for k, v in t.items()}, "weights lack"),
        (
            lambda t: {k: v[:5] if "word_emb" in k else v for k, v in t.items()},
            r"have the shape \(5, 32\)",
        ),
    ],
)
def test_wrong_checkpoint_is_refused(
    damage: Any, message: str, tmp_path: Path, configure: Configure, copied: Copied
) -> None:
    folder = copied("bert", tmp_path / "copy")
    rewrite(folder, damage)
    with pytest.raises(EncoderError, match=f"encoder=.*{message}") as caught:
        load_encoder(configure(folder), seed=0)
    assert "\n" not in str(caught.value)


def test_loading_is_silent(
    tmp_path: Path, configure: Configure, copied: Copied, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither a pooler without weights nor a tensor too many is worth a report."""
    folder = copied("bert", tmp_path / "copy")
    extra = {"cls.predictions.bias": torch.zeros(3)}
    rewrite(folder, lambda t: {k: v for k, v in t.items() if "pooler" not in k} | extra)
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_tokenizer(configure(folder))
    load_encoder(configure(folder), seed=0)
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
