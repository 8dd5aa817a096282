"""What is peculiar to single families, each a fault that would pass without a word."""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LongformerForSequenceClassification

from tests.conftest import PROJECT
from tests.helpers.reference_pairs import FIRST, SECOND
from tests.helpers.tiny_encoders import SENTENCE_PIECE, build_encoder, build_sentence_piece
from trainables.config.methods import AdapterConfig
from trainables.config.trial import ModelConfig
from trainables.errors import EncoderError
from trainables.models.adapter import add_adapter
from trainables.models.classifier import Classifier
from trainables.models.encoder import check_encoder, load_encoder, load_tokenizer
from trainables.models.families import REFUSED, why_refused
from trainables.models.quiet import quiet
from trainables.models.saved import save_classifier

REFERENCE = json.loads((PROJECT / "tests" / "fixtures" / "encoder_pairs.json").read_text())


def model_of(folder: Path, **changes: Any) -> ModelConfig:
    return ModelConfig.model_validate({"encoder": str(folder), "max_length": 32} | changes)


def edit(path: Path, **changes: Any) -> None:
    """Set keys of a JSON file; None removes one."""
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def refused(model: ModelConfig) -> str:
    """The one line with which a model is refused."""
    with pytest.raises(EncoderError) as caught:
        check_encoder(model, "mine")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", REFUSED)
def test_types_that_would_be_wrong_are_refused_with_the_reason(kind: str, tmp_path: Path) -> None:
    folder = build_encoder("bert", tmp_path / "m")
    edit(folder / "config.json", model_type=kind)
    assert f"a {kind} cannot be used: {REFUSED[kind]}" in refused(model_of(folder))


def test_longformers_first_token_attends_to_all(tmp_path: Path) -> None:
    """As in its own classifier; by its window alone a far token would not reach the first."""
    folder = build_encoder("longformer", tmp_path / "m")
    encoder = load_encoder(model_of(folder, max_length=64), 41).eval()
    ids = load_tokenizer(model_of(folder))(" ".join(["cat"] * 60), return_tensors="pt")["input_ids"]
    mask = torch.ones_like(ids)
    with quiet(), torch.no_grad():
        own = LongformerForSequenceClassification.from_pretrained(folder).eval()
        expected = own(ids, attention_mask=mask, output_hidden_states=True).hidden_states[-1]
        hidden = encoder(ids, mask).hidden
        torch.testing.assert_close(hidden, expected, atol=1e-6, rtol=0)
        far = ids.clone()
        far[0, -3] = ids[0, 1] + 1
        assert not torch.allclose(encoder(far, mask).summary, hidden[:, 0], atol=1e-6)


def test_bigbirds_answers_do_not_depend_on_earlier_batches(tmp_path: Path) -> None:
    folder = build_encoder("big_bird", tmp_path / "m")
    assert json.loads((folder / "config.json").read_text())["attention_type"] == "block_sparse"
    encoder = load_encoder(model_of(folder, max_length=64), 41).eval()
    long, short = torch.randint(10, 50, (2, 60)), torch.randint(10, 50, (2, 8))
    with torch.no_grad():
        before = encoder(long, torch.ones_like(long)).hidden
        encoder(short, torch.ones_like(short))
        assert torch.equal(encoder(long, torch.ones_like(long)).hidden, before)


@pytest.mark.parametrize("name", ["convbert", "fnet", "nystromformer"])
def test_a_text_longer_than_the_fixed_length_is_refused(name: str, tmp_path: Path) -> None:
    encoder = load_encoder(model_of(build_encoder(name, tmp_path / "m")), 41)
    assert encoder.length == 32
    ids = torch.ones(1, 33, dtype=torch.long)
    with pytest.raises(ValueError, match="33 tokens; this model reads 32"):
        encoder(ids, ids)


def test_the_padding_that_a_caller_gives_does_not_matter(tmp_path: Path) -> None:
    encoder = load_encoder(model_of(build_encoder("fnet", tmp_path / "m")), 41).eval()
    mask = torch.tensor([[1, 1, 1, 0, 0]])
    with torch.no_grad():
        one, other = (
            encoder(torch.tensor([[2, 40, 3, pad, pad]]), mask).hidden[:, :3] for pad in (0, 7)
        )
    assert torch.equal(one, other)


def without_template(folder: Path) -> None:
    edit(folder / "tokenizer.json", post_processor=None)


def run_together(folder: Path) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    pair = content["post_processor"]["pair"]
    content["post_processor"]["pair"] = [pair[0], *(part for part in pair if "Sequence" in part)]
    path.write_text(json.dumps(content))


def one_tensor_more(folder: Path) -> None:
    path = folder / "model.safetensors"
    more = {"encoder.layer.0.attention.gate.weight": torch.zeros(2)}
    save_file(load_file(path) | more, path, metadata={"format": "pt"})


def another_embedding(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = {f"bert.{name}": tensor for name, tensor in load_file(path).items()}
    more = {"bert.embeddings.task_type_embeddings.weight": torch.zeros(2)}
    save_file(tensors | more, path, metadata={"format": "pt"})


def one_tensor_less(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors.pop("encoder.layer.1.output.dense.bias")
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_template, "no special token before a text"),
        (run_together, "no special token between the two texts"),
        (one_tensor_more, r"1 tensors that a bert does not know \(encoder.layer.0.attention.gate"),
        (another_embedding, r"1 tensors that a bert does not know \(bert.embeddings.task_type"),
        (one_tensor_less, "lack 1 of the tensors of a bert"),
    ],
)
def test_files_that_would_be_read_in_another_way_are_refused(
    damage: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    folder = build_encoder("bert with a generic tokenizer", tmp_path / "m")
    check_encoder(model_of(folder), "mine")
    damage(folder)
    with pytest.raises(EncoderError, match=rf"^define\.models\.mine\.encoder=.*{message}"):
        check_encoder(model_of(folder), "mine")


def test_tensors_beside_the_encoder_are_no_concern(tmp_path: Path) -> None:
    """A head, buffers of older versions, and layers that are cut off."""
    folder = build_encoder("bert", tmp_path / "m")
    path = folder / "model.safetensors"
    names = ("cls.predictions.bias", "classifier.weight", "embeddings.position_ids")
    more = {name: torch.zeros(2) for name in names}
    save_file(load_file(path) | more, path, metadata={"format": "pt"})
    assert check_encoder(model_of(folder, num_layers=1), "mine").num_layers == 1


def test_code_that_a_config_names_is_not_run_beside_a_type_that_is_known(tmp_path: Path) -> None:
    folder = build_encoder("eurobert", tmp_path / "m")
    before = load_encoder(model_of(folder), 41).state_dict()
    auto_map = {"AutoConfig": "modeling.Mine", "AutoModel": "modeling.Mine"}
    edit(folder / "config.json", auto_map=auto_map)
    (folder / "modeling.py").write_text("raise SystemExit('code of a model folder was run')")
    check_encoder(model_of(folder), "mine")
    after = load_encoder(model_of(folder), 41).state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert load_tokenizer(model_of(folder))(FIRST)["input_ids"] == REFERENCE["eurobert"]["single"]


@pytest.mark.parametrize("name", SENTENCE_PIECE)
def test_a_sentence_piece_model_alone_is_a_tokenizer(name: str, tmp_path: Path) -> None:
    """With the ids and segments of the slow tokenizers that it was written for."""
    folder = build_sentence_piece(name, tmp_path / "m")
    check_encoder(model_of(folder), "mine")
    tokenizer = load_tokenizer(model_of(folder))
    pair = tokenizer(FIRST, SECOND)
    expected = REFERENCE[f"{name} sentencepiece"]
    assert pair["input_ids"] == expected["pair"]
    if "token_type_ids" in tokenizer.model_input_names:
        assert pair["token_type_ids"] == expected["segments"]


@pytest.mark.parametrize("name", SENTENCE_PIECE)
def test_a_sentence_piece_model_normalises_characters(name: str, tmp_path: Path) -> None:
    """transformers 5 leaves its rules out in some families."""
    tokenizer = load_tokenizer(model_of(build_sentence_piece(name, tmp_path / "m")))
    plain = tokenizer("the cat sees a dog")["input_ids"]
    for text in ("the ｃａｔ sees a dog", "the\u00a0cat sees a\tdog", "the cat sees a dog  "):
        assert tokenizer(text)["input_ids"] == plain


@pytest.mark.parametrize(
    ("name", "settings"),
    [("luke", {}), ("xmod", {"languages": ["en_XX", "de_DE"], "default_language": "de_DE"})],
)
def test_layers_that_are_never_called_get_no_adapter(
    name: str, settings: dict, tmp_path: Path
) -> None:
    """LUKE's entities, and the languages of X-MOD that are not the default one."""
    model = model_of(build_encoder(name, tmp_path / "m", **settings))
    assert "adapter" in check_encoder(model, "mine").corrections
    encoder = load_encoder(model, 41).train()
    add_adapter(encoder, AdapterConfig(rank=2), 41)
    called: set[str] = set()

    def note(part: str, module: Any, inputs: Any, output: Any) -> None:
        if len(inputs[0]):
            called.add(part)

    for part, module in encoder.named_modules():
        if part.endswith("lora_A.default"):
            module.register_forward_hook(partial(note, part))
    ids = torch.randint(10, 50, (2, 7))
    encoder(ids, torch.ones_like(ids))
    named = {n.removesuffix(".weight") for n, _ in encoder.named_parameters() if "lora_A" in n}
    assert named
    assert named == called


def test_lukes_entities_are_no_words(tmp_path: Path) -> None:
    """transformers 5 gives them ids for which the model has no embeddings."""
    folder = build_encoder("luke", tmp_path / "m")
    tokenizer = load_tokenizer(model_of(folder))
    size = json.loads((folder / "config.json").read_text())["vocab_size"]
    assert len(tokenizer) == size
    assert max(tokenizer("the [MASK2] and [UNK] of [PAD]")["input_ids"]) < size


@pytest.mark.parametrize("name", ["layoutlm", "squeezebert"])
def test_a_pooler_without_weights_is_left_out_where_it_is_always_called(
    name: str, tmp_path: Path
) -> None:
    folder = build_encoder(name, tmp_path / "m")
    path = folder / "model.safetensors"
    kept = {key: value for key, value in load_file(path).items() if "pooler" not in key}
    save_file(kept, path, metadata={"format": "pt"})
    encoder = load_encoder(model_of(folder), 41)
    ids = torch.ones(1, 4, dtype=torch.long)
    assert encoder(ids, ids).pooled is None
    expected = sum(parameter.numel() for parameter in encoder.parameters())
    assert check_encoder(model_of(folder), "mine").parameters == expected


@pytest.mark.parametrize(
    ("name", "settings", "changes", "message"),
    [
        ("xmod", {"default_language": None}, {}, "default_language=None; set it .* en_XX, de_DE"),
        (
            "nystromformer",
            {"num_landmarks": 16},
            {},
            "num_landmarks=16 and segment_means_seq_len=64",
        ),
        ("albert", {"num_hidden_groups": 2}, {"num_layers": 1}, "num_layers=1: .* groups"),
    ],
)
def test_settings_of_a_family_that_would_fail_later_are_refused(
    name: str, settings: dict, changes: dict, message: str, tmp_path: Path
) -> None:
    folder = build_encoder(name, tmp_path / "m", **settings)
    with pytest.raises(EncoderError, match=message):
        check_encoder(model_of(folder, **changes), "mine")


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("bert", {"is_decoder": True}, "is_decoder=true: its first token"),
        ("roberta", {"is_decoder": True}, "is_decoder=true: its first token"),
        ("xlm", {"causal": True}, "causal=true: its first token"),
        (
            "qwen3",
            {"quantization_config": {"quant_method": "fp8"}},
            "its weights are quantised .*fp8",
        ),
        ("bert", {"hidden_act": "nosuch"}, "its config.json makes no model .*nosuch"),
        ("bert", {"intermediate_size": 48}, r"have the shape \(64,\), .* makes it \(48,\)"),
    ],
)
def test_a_configuration_that_makes_another_model_is_refused(
    name: str, settings: dict, message: str, tmp_path: Path
) -> None:
    """With a causal mask the first token would see no other, and all texts be the same."""
    folder = build_encoder(name, tmp_path / "m")
    edit(folder / "config.json", **settings)
    assert re.search(message, refused(model_of(folder)))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("bert", {"output_attentions": True, "output_hidden_states": True, "return_dict": False}),
        ("t5", {"output_attentions": True, "return_dict": False}),
        ("bert", {"attn_implementation": "flash_attention_2"}),
        ("qwen3", {"_attn_implementation": "flash_attention_2"}),
        ("bert", {"chunk_size_feed_forward": 5}),
        ("fnet", {"use_tpu_fourier_optimizations": True}),
    ],
)
def test_settings_of_how_a_model_computes_do_not_matter(
    name: str, settings: dict, tmp_path: Path
) -> None:
    folder = build_encoder(name, tmp_path / "m")
    ids = torch.randint(10, 50, (2, 7))
    hidden = []
    for changes in ({}, settings):
        edit(folder / "config.json", **changes)
        model = model_of(folder)
        check_encoder(model, "mine")
        encoder = load_encoder(model, 41).eval()
        with torch.no_grad():
            hidden.append(encoder(ids, torch.ones_like(ids)).hidden)
        classifier = Classifier(encoder, {"a": 2}, 41)
        save_classifier(tmp_path / "saved", classifier, load_tokenizer(model), {})
    assert torch.equal(*hidden)


def tokens_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "tokenizer.json").read_text())
    return content


def with_token(folder: Path, content: str, number: int) -> None:
    """Add a special token to a tokenizer.json."""
    options = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    token = {"id": number, "content": content, "special": True, **options}
    edit(folder / "tokenizer.json", added_tokens=[*tokens_of(folder)["added_tokens"], token])


@pytest.mark.parametrize(
    ("name", "token"), [("gemma3_text", "<image_soft_token>"), ("t5", "<extra_id_120>")]
)
def test_tokens_that_a_text_model_never_reads_are_taken_out(
    name: str, token: str, tmp_path: Path
) -> None:
    """Gemma 3 is published with one token more than its text models have embeddings for."""
    folder = build_encoder(name, tmp_path / "m")
    size = json.loads((folder / "config.json").read_text())["vocab_size"]
    with_token(folder, token, size)
    check_encoder(model_of(folder), "mine")
    tokenizer = load_tokenizer(model_of(folder))
    tokenizer.save_pretrained(folder)
    for read in (tokenizer, load_tokenizer(model_of(folder))):
        assert max(read(f"the {token} cat")["input_ids"]) < size


def another_token(folder: Path) -> None:
    with_token(folder, "[URL]", 102)


def a_gap(folder: Path) -> None:
    """As many tokens as embeddings, but one with a higher number."""
    content = tokens_of(folder)
    last = max(content["model"]["vocab"], key=content["model"]["vocab"].get)
    content["model"]["vocab"][last] = 300
    (folder / "tokenizer.json").write_text(json.dumps(content))


def three_segments(folder: Path) -> None:
    text = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(re.sub(r'("type_id": ?)1', r"\g<1>2", text))


def no_letters(folder: Path) -> None:
    rule = {"type": "Replace", "pattern": {"String": "a"}, "content": ""}
    edit(folder / "tokenizer.json", normalizer=rule)


def words_for_a_number(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", model_max_length="512")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (another_token, r"1 tokens for which the model has no embedding .*102: '\[URL\]'"),
        (a_gap, "1 tokens for which the model has no embedding .*number 300"),
        (three_segments, "segments of a pair up to 2, but the model knows only 2"),
        (no_letters, "no token of the letter a"),
        (words_for_a_number, "model_max_length='512'"),
    ],
)
def test_a_tokenizer_that_would_fail_in_a_batch_is_refused(
    damage: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    folder = build_encoder("bert with a generic tokenizer", tmp_path / "m")
    damage(folder)
    assert re.search(message, refused(model_of(folder)))


def test_a_decoders_tokenizer_without_letters_is_refused(tmp_path: Path) -> None:
    folder = build_encoder("llama", tmp_path / "m")
    no_letters(folder)
    assert "no token of the letter a" in refused(model_of(folder))


@pytest.mark.parametrize("kind", ["canine", "perceiver", "bert-generation"])
def test_a_type_is_refused_before_its_tokenizer_is_missed(kind: str, tmp_path: Path) -> None:
    """Byte-level models have none, so that no advice to save one could be followed."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    assert why_refused(kind) in refused(model_of(tmp_path))


def test_words_under_several_names_are_counted_once(tmp_path: Path) -> None:
    """As ``pytorch_model.bin`` names them, and so what ``convert`` makes of it."""
    folder = build_encoder("t5", tmp_path / "m")
    path = folder / "model.safetensors"
    tensors = load_file(path)
    words = tensors["shared.weight"]
    more = {f"{part}.embed_tokens.weight": words.clone() for part in ("encoder", "decoder")}
    save_file(tensors | more, path, metadata={"format": "pt"})
    expected = sum(
        parameter.numel() for parameter in load_encoder(model_of(folder), 41).parameters()
    )
    assert check_encoder(model_of(folder), "mine").parameters == expected


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_buffers_of_older_gpt_2_are_no_concern(prefix: str, tmp_path: Path) -> None:
    folder = build_encoder("gpt2", tmp_path / "m")
    path = folder / "model.safetensors"
    tensors = {f"{prefix}{name}": tensor for name, tensor in load_file(path).items()}
    more = {f"{prefix}h.0.attn.{name}": torch.ones(1) for name in ("bias", "masked_bias")}
    save_file(tensors | more, path, metadata={"format": "pt"})
    check_encoder(model_of(folder), "mine")


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("albert", {"hidden_dropout_prob": 0.0, "classifier_dropout_prob": 0.15}, 0.15),
        ("rembert", {"hidden_dropout_prob": 0.0, "classifier_dropout_prob": 0.15}, 0.15),
        ("distilbert", {"dropout": 0.1, "seq_classif_dropout": 0.25}, 0.25),
        ("bert", {"hidden_dropout_prob": 0.1, "classifier_dropout": 0.35}, 0.35),
        ("bert", {"hidden_dropout_prob": 0.05}, 0.05),
    ],
)
def test_a_heads_dropout_is_that_of_the_familys_classifier(
    name: str, settings: dict, expected: float, tmp_path: Path
) -> None:
    folder = build_encoder(name, tmp_path / "m", **settings)
    assert load_encoder(model_of(folder), 41).dropout == expected
    assert load_encoder(model_of(folder, dropout=0.5), 41).dropout == 0.5
    changed = "head dropout" in check_encoder(model_of(folder), "mine").corrections
    assert changed == (len(settings) > 1)
    assert "head dropout" not in check_encoder(model_of(folder, dropout=0.5), "mine").corrections


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("bert", {}, ()),
        ("roberta", {}, ()),
        ("electra", {}, ()),
        ("deberta", {}, ()),
        # These two tokenizer.json have no normalizer, which the library would add.
        ("deberta-v2", {}, ("normalizer",)),
        ("bert with a generic tokenizer", {}, ("segments",)),
        ("herbert", {}, ("segments",)),
        ("nystromformer", {}, ("fixed length", "segments")),
        ("longformer", {}, ("global attention",)),
        ("eurobert", {}, ("layers",)),
        ("big_bird", {"max_length": 28}, ("normalizer",)),
        ("big_bird", {"max_length": 29}, ("full attention", "normalizer")),
    ],
)
def test_what_was_wrong_before_is_said_of_the_encoders_that_it_concerns(
    name: str, changes: dict, expected: tuple[str, ...], tmp_path: Path
) -> None:
    folder = build_encoder(name, tmp_path / "m")
    assert check_encoder(model_of(folder, **changes), "mine").corrections == expected
