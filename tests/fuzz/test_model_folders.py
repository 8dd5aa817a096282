"""Model folders of any content: a model, or one line about what is wrong with it."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.helpers.fuzz_campaign import Campaign, accepted
from tests.helpers.fuzz_damage import REPLACED, damaged, damaged_json, remove, replace
from trainables.config.trial import ModelConfig
from trainables.models.classifier import Classifier
from trainables.models.encoder import check_encoder, load_encoder, load_tokenizer
from trainables.models.saved import load_classifier, save_classifier

FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def configured(folder: Path) -> ModelConfig:
    return ModelConfig(encoder=str(folder), max_length=16)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    """A folder as ``save_model=true`` leaves it."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    classifier = Classifier(load_encoder(configured(tiny_bert), 0), {"a": 2, "b": 3}, 0)
    save_classifier(folder, classifier, load_tokenizer(configured(tiny_bert)), {"key": "x"})
    return folder


def change(random: Random, path: Path) -> None:
    chance = random.random()
    if chance < 0.1:
        replace(path, random.choice(list(REPLACED)))
    elif path.suffix == ".json" and chance < 0.6:
        path.write_bytes(damaged_json(random, path.read_bytes()))
    elif path.suffix == ".safetensors" and chance < 0.5:
        path.write_bytes(header_damaged(random, path.read_bytes()))
    else:
        path.write_bytes(damaged(random, path.read_bytes()))


def header_damaged(random: Random, content: bytes) -> bytes:
    """A safetensors file with another header or another length of it."""
    size = int.from_bytes(content[:8], "little")
    if random.random() < 0.3:
        length = random.choice((0, 1, size - 1, size + 1, 2**20, 2**31, 2**63, 2**64 - 1))
        return struct.pack("<Q", length) + content[8:]
    header = damaged_json(random, content[8 : 8 + size])
    return struct.pack("<Q", len(header)) + header + content[8 + size :]


def test_any_damage_of_an_encoder_is_a_model_or_a_clear_error(
    campaign: Campaign, tiny_bert: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    model = configured(folder)

    def body(random: Random) -> bool:
        remove(folder)
        shutil.copytree(tiny_bert, folder)
        change(random, folder / random.choice(FILES))
        checked = accepted(lambda: check_encoder(model, "x"))
        return accepted(lambda: (load_tokenizer(model), load_encoder(model, 0))) and checked

    campaign.draw("model folders", 250, body)


def test_any_damage_of_a_saved_model_is_a_model_or_a_clear_error(
    campaign: Campaign, saved: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    batch = {"input_ids": torch.tensor([[2, 7, 3]]), "attention_mask": torch.ones(1, 3).long()}

    def body(random: Random) -> bool:
        remove(folder)
        shutil.copytree(saved, folder)
        change(random, folder / random.choice(("heads.json", "heads.safetensors")))

        def load() -> None:
            classifier, *_ = load_classifier(folder)
            for head, classes in classifier.classes.items():
                assert classifier(batch, head).shape == (1, classes)

        return accepted(load)

    campaign.draw("saved models", 150, body)


def _weights(edit: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        edit(weights)
        save_file(weights, folder / "model.safetensors", {"format": "pt"})

    return apply


def _settings(**values: Any) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return apply


KEY = "embeddings.word_embeddings.weight"
WRONG: dict[str, Callable[[Path], None]] = {
    "another shape": _weights(lambda w: w.update({KEY: torch.zeros(3, 3)})),
    "more rows": _weights(lambda w: w.update({KEY: torch.zeros(len(w[KEY]) + 1, 32)})),
    "a tensor fewer": _weights(lambda w: w.pop(KEY)),
    "no number": _weights(lambda w: w.update({KEY: w[KEY] * float("nan")})),
    "an infinite number": _weights(lambda w: w[KEY].view(-1)[5:6].fill_(float("inf"))),
    "huge": _settings(hidden_size=2**20, num_attention_heads=1, intermediate_size=2**20),
    "wide": _settings(vocab_size=2**40),
    "deep": _settings(num_hidden_layers=10**9),
    "no layers": _settings(num_hidden_layers=0),
    "less than none": _settings(num_hidden_layers=-1),
    "no width": _settings(hidden_size=0),
    "positions": _settings(max_position_embeddings=2**50),
    "no positions": _settings(max_position_embeddings=0),
    "another family": _settings(model_type="gpt2"),
    "a decoder": _settings(is_decoder=True, add_cross_attention=True),
    "an unknown activation": _settings(hidden_act="os.system"),
    "layers in words": _settings(num_hidden_layers="two"),
    "dropout": _settings(hidden_dropout_prob=2.0),
    "no epsilon": _settings(layer_norm_eps="x"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_encoder_that_is_wrong_is_refused_without_a_huge_allocation(
    campaign: Campaign, name: str, tiny_bert: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(tiny_bert, folder)
    WRONG[name](folder)
    model = configured(folder)

    def body(_: str) -> bool:
        checked = accepted(lambda: check_encoder(model, "x"))
        # What a check lets through is told when a trial loads it.
        assert not checked or not accepted(lambda: load_encoder(model, 0))
        return checked

    campaign.each("model folders: wrong", [name], body)
