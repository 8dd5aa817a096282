"""What stands for a text in decoders, XLNet and the encoders of text-to-text models."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTextEncoding,
    AutoTokenizer,
    BartModel,
)
from transformers.models.bart.modeling_bart import BartEncoder

from tests.helpers.tiny_encoders import build_encoder
from trainables.config.methods import AdapterConfig, HeadConfig
from trainables.config.trial import ModelConfig
from trainables.errors import EncoderError
from trainables.models.adapter import add_adapter
from trainables.models.classifier import Classifier
from trainables.models.encoder import Encoder, load_encoder, load_tokenizer
from trainables.models.heads import HEADS
from trainables.models.quiet import quiet
from trainables.models.saved import load_classifier, save_classifier

DECODERS = (
    *("qwen2", "qwen3", "llama", "mistral", "smollm3", "gemma", "gemma2", "gemma3_text", "gpt2"),
    *("phi", "modernbert-decoder"),
)
TEXT_TO_TEXT = ("t5", "mt5", "umt5", "bart")
EVERY = (*DECODERS, "xlnet", *TEXT_TO_TEXT, "embeddinggemma")
FIRST = ["the cat sees a dog", "a bird", "this old teacher never reads the big book!"]
SECOND = FIRST[::-1]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Specimen -> folder; never changed by a test."""
    root = tmp_path_factory.mktemp("decoders")
    return {name: build_encoder(name, root / name) for name in (*EVERY, "qwen3 embedding")}


def configured(folder: Path, **changes: Any) -> ModelConfig:
    return ModelConfig.model_validate({"encoder": str(folder), "max_length": 32, **changes})


def batch_of(model: ModelConfig, rows: slice = slice(None), *, pairs: bool) -> dict[str, Tensor]:
    """Texts or pairs of different lengths, padded."""
    return tokenized(load_tokenizer(model), rows, pairs=pairs)


def tokenized(tokenizer: Any, rows: slice, *, pairs: bool) -> dict[str, Tensor]:
    texts = (FIRST[rows], SECOND[rows]) if pairs else (FIRST[rows],)
    return dict(tokenizer(*texts, padding=True, return_tensors="pt"))


def encoded(encoder: Encoder, batch: dict[str, Tensor]) -> Any:
    with torch.no_grad():
        return encoder(batch["input_ids"], batch["attention_mask"], batch.get("token_type_ids"))


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("name", [*DECODERS, "xlnet"])
def test_the_familys_own_classifier_reads_the_same_vector(
    name: str, padded: bool, pairs: bool, folders: dict[str, Path]
) -> None:
    model = configured(folders[name])
    own_tokenizer = load_tokenizer(model)
    with quiet():
        own: Any = AutoModelForSequenceClassification.from_pretrained(
            folders[name], num_labels=3, pad_token_id=own_tokenizer.pad_token_id
        ).eval()
    entry = {"modernbert-decoder": "head", "xlnet": "sequence_summary"}.get(name, "score")
    seen: list[Tensor] = []
    own.get_submodule(entry).register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    if name == "xlnet":  # it reads the last column, so that its texts are padded on the left
        own_tokenizer.padding_side = "left"
    encoder = load_encoder(model, seed=0).eval()
    classifier = Classifier(encoder, {"a": 3}, 0, kinds={"a": HeadConfig(name="first_token")})
    for rows in [slice(None)] if padded else [slice(i, i + 1) for i in range(3)]:
        theirs = tokenized(own_tokenizer, rows, pairs=pairs)
        with torch.no_grad():
            logits = own(**theirs).logits
        states, mask = seen.pop(), theirs["attention_mask"]
        last = mask.shape[1] - 1 - mask.flip(1).argmax(dim=1)
        batch = batch_of(model, rows, pairs=pairs)
        ours = encoded(encoder, batch).summary
        torch.testing.assert_close(ours, states[torch.arange(len(last)), last], atol=1e-5, rtol=0)
        if entry == "score":
            with torch.no_grad():
                classifier.head("a").get_parameter("out.weight").copy_(own.score.weight)
                ours = classifier.eval()(batch, "a")
            torch.testing.assert_close(ours, logits, atol=1e-5, rtol=0)


def own_encoder(name: str, folder: Path) -> nn.Module:
    """The encoder as transformers itself loads it."""
    with quiet():
        if name == "bart":
            encoder = BartModel.from_pretrained(folder).encoder
            assert isinstance(encoder, BartEncoder)
            return encoder.eval()
        kind = AutoModel if name == "embeddinggemma" else AutoModelForTextEncoding
        return kind.from_pretrained(folder).eval()


@pytest.mark.parametrize("name", [*TEXT_TO_TEXT, "embeddinggemma"])
def test_the_mean_of_the_real_tokens_speaks(name: str, folders: dict[str, Path]) -> None:
    model = configured(folders[name])
    encoder, own = load_encoder(model, seed=0).eval(), own_encoder(name, folders[name])
    summary = encoded(encoder, batch_of(model, pairs=True)).summary
    for row in range(3):
        alone = batch_of(model, slice(row, row + 1), pairs=True)
        assert alone["attention_mask"].all()
        with torch.no_grad():
            states = own(alone["input_ids"], attention_mask=alone["attention_mask"])[0][0]
        expected = sum(state for state in states) / len(states)
        torch.testing.assert_close(summary[row], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("name", "same"), [("gemma3_text", True), ("embeddinggemma", False)])
def test_a_gemma_is_read_in_the_direction_of_its_configuration(
    name: str, same: bool, folders: dict[str, Path]
) -> None:
    encoder = load_encoder(configured(folders[name]), seed=0).eval()
    ids = torch.arange(3, 9).unsqueeze(0)
    other = ids.clone()
    other[0, -1] += 1
    first, changed = (
        encoded(encoder, {"input_ids": i, "attention_mask": torch.ones_like(i)}).hidden[0, 0]
        for i in (ids, other)
    )
    assert torch.allclose(first, changed, atol=1e-6) == same


@pytest.mark.parametrize("name", [*DECODERS, "qwen3 embedding"])
def test_something_stands_between_the_texts_of_a_pair(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    """A line break, where the tokenizer has nothing of its own."""
    folder = folders[name]
    tokenizer, own = load_tokenizer(configured(folder)), AutoTokenizer.from_pretrained(folder)
    first, second = FIRST[0], SECOND[0]
    plain = own(second, add_special_tokens=False)["input_ids"]
    single = own(first)["input_ids"]
    assert tokenizer(first)["input_ids"] == single
    pair = tokenizer(first, second)["input_ids"]
    if name in ("modernbert-decoder", "qwen3 embedding"):
        assert pair == own(first, second)["input_ids"]
    else:
        break_ids = own("\n", add_special_tokens=False)["input_ids"]
        assert len(break_ids) == 1
        assert pair == [*single, *break_ids, *plain]
    assert len(tokenizer(first, second, truncation=True, max_length=8)["input_ids"]) == 8
    # What is saved says the same, also to transformers' own classes.
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again(first, second)["input_ids"] == pair


def test_segments_tell_the_texts_of_xlnet_apart(folders: dict[str, Path]) -> None:
    model = configured(folders["xlnet"])
    batch = batch_of(model, slice(1), pairs=True)
    encoder = load_encoder(model, seed=0).eval()
    segments = batch["token_type_ids"][0].tolist()
    assert segments == sorted(segments)
    assert set(segments) == {0, 1, 2}
    one_text = batch | {"token_type_ids": torch.zeros_like(batch["token_type_ids"])}
    assert not torch.allclose(encoded(encoder, batch).summary, encoded(encoder, one_text).summary)


@pytest.mark.parametrize("name", EVERY)
def test_texts_are_padded_on_the_right_with_what_is_masked(
    name: str, folders: dict[str, Path]
) -> None:
    model = configured(folders[name])
    tokenizer: Any = load_tokenizer(model)
    batch = batch_of(model, pairs=False)
    if name in ("llama", "gpt2", "phi"):
        assert tokenizer.pad_token == tokenizer.eos_token
    mask = batch["attention_mask"]
    assert mask.diff(dim=1).max() <= 0
    assert set(batch["input_ids"][mask == 0].tolist()) == {tokenizer.pad_token_id}
    # Whatever stands in the padding, it changes nothing.
    encoder = load_encoder(model, seed=0).eval()
    other = batch | {"input_ids": batch["input_ids"].masked_fill(mask == 0, 7)}
    torch.testing.assert_close(encoded(encoder, other).summary, encoded(encoder, batch).summary)


def test_a_decoder_without_an_end_of_texts_needs_a_padding_token(tmp_path: Path) -> None:
    folder = build_encoder("gpt2", tmp_path, eos_token_id=None)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"eos_token_id": None}))
    with pytest.raises(EncoderError, match="no pad_token"):
        load_tokenizer(configured(folder))


@pytest.mark.parametrize("name", [*TEXT_TO_TEXT, "gpt2", "xlnet"])
def test_a_saved_model_is_the_same_bit_for_bit(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    model = configured(folders[name])
    classifier = Classifier(load_encoder(model, 0), {"a": 2}, 0).eval()
    save_classifier(tmp_path / "saved", classifier, load_tokenizer(model), {})
    loaded, tokenizer, _ = load_classifier(tmp_path / "saved")
    batch = batch_of(model, pairs=True)
    texts = dict(tokenizer(FIRST, SECOND, padding=True, return_tensors="pt"))
    assert all(torch.equal(tensor, texts[key]) for key, tensor in batch.items())
    with torch.no_grad():
        assert torch.equal(loaded(texts, "a"), classifier(batch, "a"))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", ["qwen3", "xlnet", "t5"])
def test_every_head_reads_a_text_as_it_is_without_the_others(
    name: str, head: str, folders: dict[str, Path]
) -> None:
    model = configured(folders[name])
    kinds = {"a": HeadConfig.model_validate({"name": head})}
    classifier = Classifier(load_encoder(model, 0), {"a": 2}, 0, kinds=kinds).eval()

    def classified(rows: slice) -> Tensor:
        batch = batch_of(model, rows, pairs=True)
        texts = load_tokenizer(model)(FIRST[rows], SECOND[rows], padding=True)
        of_text = [
            [0 if t is None else t + 1 for t in texts.sequence_ids(i)]
            for i in range(len(batch["input_ids"]))
        ]
        with torch.no_grad():
            return classifier(batch | {"texts": torch.tensor(of_text)}, "a")

    together = classified(slice(None))
    for row in range(3):
        alone = classified(slice(row, row + 1))
        torch.testing.assert_close(together[row], alone[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["gpt2", "t5", "bart"])
def test_dropout_has_another_name_in_some_families(name: str, folders: dict[str, Path]) -> None:
    encoder = load_encoder(configured(folders[name], dropout=0.0), seed=0).train()
    batch = batch_of(configured(folders[name]), pairs=True)
    assert torch.equal(encoded(encoder, batch).hidden, encoded(encoder, batch).hidden)


def adapted(model: ModelConfig, frozen: str | None, *, rounded: bool = False) -> Classifier:
    encoder = load_encoder(model, 0)
    if rounded:
        for parameter in encoder.parameters():
            parameter.data = parameter.data.bfloat16().float()
    add_adapter(encoder, AdapterConfig.model_validate({"rank": 2, "frozen": frozen}), 0)
    return Classifier(encoder, {"a": 2}, 0)


def trained(classifier: Classifier, batch: dict[str, Tensor]) -> Tensor:
    """Logits after two large steps."""
    parameters = [p for p in classifier.train().parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=0.02)
    torch.manual_seed(0)
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(classifier(batch, "a"), torch.tensor([0, 1, 0])).backward()
        optimizer.step()
    with torch.no_grad():
        return classifier.eval()(batch, "a")


@pytest.mark.parametrize("name", EVERY)
def test_frozen_matrices_are_kept_in_half_and_lose_nothing_but_their_rounding(
    name: str, folders: dict[str, Path]
) -> None:
    model = configured(folders[name])
    batch = batch_of(model, pairs=True)
    half, full = (adapted(model, frozen, rounded=True) for frozen in (None, "fp32"))
    kept = {torch.float32: 0, torch.bfloat16: 0}
    for parameter in half.parameters():
        if parameter.requires_grad or parameter.ndim == 1:
            assert parameter.dtype == torch.float32
        elif not parameter.requires_grad:
            kept[parameter.dtype] += parameter.numel()
    # Bare parameters of XLNet's attention and a part of T5 stay as they are.
    share = kept[torch.bfloat16] / sum(kept.values())
    assert share > (0.5 if name in ("xlnet", *TEXT_TO_TEXT) else 0.9)
    torch.testing.assert_close(trained(half, batch), trained(full, batch), atol=1e-6, rtol=0)


def test_the_number_format_of_frozen_matrices_can_be_set(folders: dict[str, Path]) -> None:
    assert {p.dtype for p in adapted(configured(folders["qwen3"]), "fp32").parameters()} == {
        torch.float32
    }


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_frozen_matrices_follow_the_number_format_of_a_pass(
    dtype: torch.dtype, folders: dict[str, Path]
) -> None:
    model = configured(folders["llama"])
    classifier = adapted(model, "bf16").train()
    batch = batch_of(model, pairs=True)
    plain = classifier(batch, "a")
    with torch.autocast("cpu", dtype=dtype):
        lower = classifier(batch, "a")
    assert lower.dtype == dtype
    torch.testing.assert_close(lower.float(), plain, atol=2e-2, rtol=0)
    lower.float().sum().backward()
    gradients = [p.grad for p in classifier.parameters() if p.requires_grad]
    assert all(g is not None and g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("name", ["qwen3", "gpt2", "t5", "bart", "xlnet"])
def test_a_saved_model_has_its_adapter_merged_in_float32(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    model = configured(folders[name])
    batch, classifier = batch_of(model, pairs=True), adapted(model, None)
    logits = trained(classifier, batch)
    save_classifier(tmp_path / "saved", classifier, load_tokenizer(model), {})
    loaded, _, _ = load_classifier(tmp_path / "saved")
    with torch.no_grad():
        torch.testing.assert_close(loaded(batch, "a"), logits, atol=1e-5, rtol=0)
