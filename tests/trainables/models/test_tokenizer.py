"""Tokenizers write pairs as their families do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, normalizers, pre_tokenizers

from tests.helpers.tiny_encoders import build_encoder
from trainables.config.trial import ModelConfig
from trainables.errors import EncoderError
from trainables.models.encoder import check_encoder, load_tokenizer

Configure = Callable[..., ModelConfig]

# family -> first token, separator, separators between the two texts, whether it has segments
PAIRS = {
    "bert": ("[CLS]", "[SEP]", 1, True),
    "electra": ("[CLS]", "[SEP]", 1, True),
    "distilbert": ("[CLS]", "[SEP]", 1, False),
    "deberta": ("[CLS]", "[SEP]", 1, True),
    "deberta-v2": ("[CLS]", "[SEP]", 1, True),
    "roberta": ("<s>", "</s>", 2, False),
    "mpnet": ("<s>", "</s>", 2, False),
}


def test_pair_encoding_is_the_family_s_own(family: str, configure: Configure) -> None:
    first, separator, between, segments = PAIRS[family]
    tokenizer: Any = load_tokenizer(configure(family))
    left_ids = tokenizer("the cat sees", add_special_tokens=False)["input_ids"]
    right_ids = tokenizer("a dog!", add_special_tokens=False)["input_ids"]
    pair = tokenizer("the cat sees", "a dog!")

    cls, sep = tokenizer.convert_tokens_to_ids([first, separator])
    assert pair["input_ids"] == [cls, *left_ids, *[sep] * between, *right_ids, sep]
    assert ("token_type_ids" in pair) == segments
    if segments:
        expected = [0] * (len(left_ids) + 2) + [1] * (len(right_ids) + 1)
        assert pair["token_type_ids"] == expected
    assert tokenizer("the cat sees")["input_ids"] == [cls, *left_ids, sep]


def test_single_texts_equal_the_tokenizer_in_the_file(
    family: str, configure: Configure, tiny_models: dict[str, Path]
) -> None:
    own = Tokenizer.from_file(str(tiny_models[family] / "tokenizer.json"))
    tokenizer = load_tokenizer(configure(family))
    for text in ("the old cat, never good!", "xyzzy", "", "A  big   House"):
        assert tokenizer(text)["input_ids"] == own.encode(text).ids


def test_truncation_and_padding_in_the_file_are_switched_off(
    tmp_path: Path, copied: Callable[[str, Path], Path], configure: Configure
) -> None:
    folder = copied("bert", tmp_path / "copy")
    backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
    backend.enable_truncation(4)
    backend.enable_padding(length=9)
    backend.save(str(folder / "tokenizer.json"))
    tokenizer: Any = load_tokenizer(configure(folder))
    assert len(tokenizer.backend_tokenizer.encode("the cat sees a dog").ids) == 7


@pytest.mark.parametrize("missing", ["tokenizer.json", "config.json"])
def test_missing_file_is_named(
    missing: str, tmp_path: Path, copied: Callable[[str, Path], Path], configure: Configure
) -> None:
    folder = copied("bert", tmp_path / "copy")
    (folder / missing).unlink()
    with pytest.raises(EncoderError, match=f"encoder=.*{missing}"):
        load_tokenizer(configure(folder))


def only_the_json(folder: Path, **numbers: Any) -> None:
    """Leave a tokenizer.json alone, with these numbers of tokens in config.json."""
    (folder / "tokenizer_config.json").unlink()
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | numbers))


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("eurobert", {}),
        ("modernbert", {}),
        ("modernbert-decoder", {}),
        ("umt5", {}),
        ("llama", {"pad_token_id": None, "eos_token_id": 1}),
        ("llama", {"pad_token_id": None, "eos_token_id": [1, 0]}),
        ("bert with a generic tokenizer", {}),
    ],
)
def test_texts_are_padded_with_the_token_that_config_json_names(
    name: str, numbers: dict, tmp_path: Path
) -> None:
    folder = build_encoder(name, tmp_path / "m")
    expected = load_tokenizer(ModelConfig(encoder=str(folder), max_length=16))
    only_the_json(folder, **numbers)
    model = ModelConfig(encoder=str(folder), max_length=16)
    check_encoder(model, "m")
    tokenizer: Any = load_tokenizer(model)
    assert tokenizer.pad_token == expected.pad_token
    assert tokenizer("the cat", "a dog")["input_ids"] == expected("the cat", "a dog")["input_ids"]


@pytest.mark.parametrize("number", [None, 50, 5000])
def test_tokenizer_without_padding_token_is_refused(number: int | None, tmp_path: Path) -> None:
    """A word, or a token that is not there, is none."""
    folder = build_encoder("modernbert", tmp_path / "m")
    only_the_json(folder, pad_token_id=number)
    with pytest.raises(EncoderError, match="no pad_token"):
        load_tokenizer(ModelConfig(encoder=str(folder), max_length=16))


WITH_CLASSES = [
    *("albert", "bart", "bert", "big_bird", "camembert", "deberta", "deberta-v2", "electra"),
    *("luke", "mpnet", "rembert", "roberta", "t5", "xlm-roberta", "xlnet"),
]
"""Specimens whose families have a tokenizer class of their own."""
FOLLOWED = ("albert", "t5")
"""Those of them whose class follows the file."""


@pytest.mark.parametrize("name", WITH_CLASSES)
def test_special_tokens_stand_where_the_tokenizers_file_says(name: str, tmp_path: Path) -> None:
    """Transformers 5 puts those of the class in their place, where earlier versions did not."""
    folder = build_encoder(name, tmp_path / "m")
    model = ModelConfig(encoder=str(folder), max_length=16)
    assert "template" not in check_encoder(model, "m").corrections
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    pair = content["post_processor"]["pair"]
    second = next(i for i, part in enumerate(pair) if part.get("Sequence", {}).get("id") == "B")
    # One separator more.
    pair.insert(second, pair[second - 1])
    file.write_text(json.dumps(content))
    own = Tokenizer.from_file(str(file)).encode("the cat", "a dog")
    tokenizer = load_tokenizer(model)
    if name not in FOLLOWED:
        assert "template" in check_encoder(model, "m").corrections
    tokenizer.save_pretrained(folder)
    for read in (tokenizer, load_tokenizer(model)):
        assert read("the cat", "a dog")["input_ids"] == own.ids


@pytest.mark.parametrize("settings", [{}, {"add_bos_token": False}, {"add_bos_token": True}])
@pytest.mark.parametrize("name", ["mistral", "gemma3_text", "gemma2"])
def test_texts_end_with_the_token_that_a_decoders_settings_ask_for(
    name: str, settings: dict, tmp_path: Path
) -> None:
    """E5-Mistral is read by it; transformers 5 leaves it out beside a tokenizer.json."""
    folder = build_encoder(name, tmp_path / "m")
    model = ModelConfig(encoder=str(folder), max_length=16)
    plain: Any = load_tokenizer(model)
    begin, end = plain.bos_token_id, plain.eos_token_id
    first, second = (plain(t, add_special_tokens=False)["input_ids"] for t in ("the cat", "a dog"))
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"add_eos_token": True} | settings))
    around = [begin] * settings.get("add_bos_token", True)
    tokenizer = load_tokenizer(model)
    tokenizer.save_pretrained(folder)
    for read in (tokenizer, load_tokenizer(model)):
        assert read("the cat")["input_ids"] == [*around, *first, end]
        expected = [*around, *first, end, *around, *second, end]
        assert read("the cat", "a dog")["input_ids"] == expected


@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta", "mpnet"])
def test_texts_are_normalised_as_the_tokenizers_file_says(name: str, tmp_path: Path) -> None:
    """Transformers 5 makes the normalizer anew from the class, and leaves out what it lacks."""
    folder = build_encoder(name, tmp_path / "m")
    model = ModelConfig(encoder=str(folder), max_length=16)
    assert "normalizer" not in check_encoder(model, "m").corrections
    file = folder / "tokenizer.json"
    own = Tokenizer.from_file(str(file))
    own.normalizer = normalizers.Sequence([normalizers.Replace("cat", "dog")])
    own.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), own.pre_tokenizer])
    own.save(str(file))
    tokenizer: Any = load_tokenizer(model)
    tokenizer.save_pretrained(folder)
    for read in (tokenizer, load_tokenizer(model)):
        for text in ("The cat sees", "a  Cat, again", "CATS and cat"):
            ids = read(text, add_special_tokens=False)["input_ids"]
            assert ids == own.encode(text, add_special_tokens=False).ids
    assert "normalizer" in check_encoder(model, "m").corrections
