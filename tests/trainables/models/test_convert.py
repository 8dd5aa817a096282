"""Weights from pickled files: converted on demand, and never by running code."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.helpers.tiny_models import build
from trainables.config.trial import ModelConfig
from trainables.errors import EncoderError
from trainables.models.convert import convert
from trainables.models.encoder import check_encoder, load_encoder, load_tokenizer


class Evil:
    """A pickle of it makes a folder when it is read."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


@pytest.fixture
def pickled(tmp_path: Path) -> Path:
    """A BERT as of 2020: pytorch_model.bin, in which two names share one tensor."""
    folder = build("bert", tmp_path / "old")
    weights = folder / "model.safetensors"
    tensors = {f"bert.{name}": tensor for name, tensor in load_file(weights).items()}
    tensors["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"]
    torch.save(tensors, folder / "pytorch_model.bin")
    weights.unlink()
    return folder


def test_a_converted_encoder_is_the_same(pickled: Path, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=rf"orchestrator convert {pickled} NEW_FOLDER"):
        check_encoder(ModelConfig(encoder=str(pickled), max_length=32), "old")
    convert(str(pickled), tmp_path / "new")
    original = build("bert", tmp_path / "original")
    before, after = (
        ModelConfig(encoder=str(folder), max_length=32) for folder in (original, tmp_path / "new")
    )
    state = load_encoder(after, 0).state_dict()
    assert all(torch.equal(t, state[n]) for n, t in load_encoder(before, 0).state_dict().items())
    texts = ["the cat sees a dog"]
    assert load_tokenizer(after)(texts) == load_tokenizer(before)(texts)


def test_shards_become_one_file(pickled: Path, tmp_path: Path) -> None:
    tensors = torch.load(pickled / "pytorch_model.bin", weights_only=True)
    (pickled / "pytorch_model.bin").unlink()
    names = sorted(tensors)
    for number, part in ((1, names[::2]), (2, names[1::2])):
        content = {name: tensors[name] for name in part}
        torch.save(content, pickled / f"pytorch_model-0000{number}-of-00002.bin")
    convert(str(pickled), tmp_path / "new")
    assert load_file(tmp_path / "new" / "model.safetensors").keys() == tensors.keys()


def test_plain_values_beside_the_tensors_are_left_out(pickled: Path, tmp_path: Path) -> None:
    """Some of DeBERTa's files hold the configuration too."""
    tensors = torch.load(pickled / "pytorch_model.bin", weights_only=True)
    more = {"config": {"hidden_size": 32}, "epoch": 3, "nothing": None}
    torch.save(tensors | more, pickled / "pytorch_model.bin")
    convert(str(pickled), tmp_path / "new")
    assert load_file(tmp_path / "new" / "model.safetensors").keys() == tensors.keys()


def sparse(folder: Path) -> None:
    content = {"embedding.weight": torch.eye(3).to_sparse()}
    torch.save(content, folder / "pytorch_model.bin")


def evil(folder: Path) -> None:
    torch.save({"weight": Evil(folder / "trace")}, folder / "pytorch_model.bin")


def damaged(folder: Path) -> None:
    path = folder / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:200])


def no_weights(folder: Path) -> None:
    torch.save([1, 2], folder / "pytorch_model.bin")


def half(folder: Path) -> None:
    (folder / "pytorch_model.bin").rename(folder / "pytorch_model-00001-of-00002.bin")


def safe_already(folder: Path) -> None:
    build("bert", folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (evil, "holds more than tensors and could run code"),
        (damaged, "is damaged"),
        (no_weights, "no mapping of names to tensors"),
        (sparse, "embedding.weight is a sparse, quantised or empty tensor"),
        (half, "no complete pytorch_model.bin"),
        (safe_already, "has safetensors already"),
    ],
)
def test_what_cannot_be_converted_is_refused_and_nothing_is_left(
    damage: Callable[[Path], None], message: str, pickled: Path, tmp_path: Path
) -> None:
    damage(pickled)
    with pytest.raises(EncoderError, match=message) as caught:
        convert(str(pickled), tmp_path / "new")
    assert "\n" not in str(caught.value)
    assert not (pickled / "trace").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_an_existing_folder_is_left_alone(pickled: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    with pytest.raises(EncoderError, match="exists already"):
        convert(str(pickled), tmp_path / "new")
    assert not any((tmp_path / "new").iterdir())
