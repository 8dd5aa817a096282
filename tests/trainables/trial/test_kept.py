"""An encoder is read once per process, and no trial changes what is kept."""

import os
import shutil
from pathlib import Path

import pytest
import torch

from trainables.config.trial import ModelConfig
from trainables.models.encoder import load_encoder
from trainables.trial import kept
from trainables.trial.kept import encoder_of, files_of, tokenizer_of


@pytest.fixture
def model(tiny_bert: Path, tmp_path: Path) -> ModelConfig:
    """An encoder of its own, whose files have not just changed."""
    folder = tmp_path / "encoder"
    shutil.copytree(tiny_bert, folder)
    for path in folder.iterdir():
        age(path, 10)
    return ModelConfig(encoder=str(folder), max_length=64)


def age(path: Path, seconds: float) -> None:
    changed = path.stat().st_mtime - seconds
    os.utime(path, (changed, changed))


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds with which an encoder was loaded."""
    seeds: list[int] = []

    def load(model: ModelConfig, seed: int) -> object:
        seeds.append(seed)
        return load_encoder(model, seed)

    monkeypatch.setattr(kept, "load_encoder", load)
    return seeds


def test_every_trial_gets_the_weights_of_the_files_bit_for_bit(
    model: ModelConfig, loads: list[int]
) -> None:
    expected = load_encoder(model, seed=7).state_dict()
    for seed in (1, 2, 3):
        encoder = encoder_of(model, seed)
        for name, tensor in encoder.state_dict().items():
            assert torch.equal(tensor, expected[name])
        # What this trial does to its own encoder, the next one does not see.
        with torch.no_grad():
            for tensor in (*encoder.parameters(), *encoder.buffers()):
                tensor.zero_()
        encoder.requires_grad_(False)
    assert len(loads) == 1
    assert all(parameter.requires_grad for parameter in encoder_of(model, 4).parameters())


def test_an_encoder_whose_files_change_is_read_again(model: ModelConfig, loads: list[int]) -> None:
    encoder_of(model, 1)
    age(Path(model.encoder) / "model.safetensors", 10)
    encoder_of(model, 1)
    assert len(loads) == 2


def test_files_that_have_just_changed_are_read_every_time(
    model: ModelConfig, loads: list[int]
) -> None:
    os.utime(Path(model.encoder) / "config.json")
    assert files_of(model) is None
    assert encoder_of(model, 1) is not encoder_of(model, 1)
    assert len(loads) == 2
    assert tokenizer_of(model, None) is not tokenizer_of(model, None)


def test_a_large_encoder_is_not_kept(
    model: ModelConfig, loads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "LARGEST", 1000)
    assert encoder_of(model, 1) is not encoder_of(model, 2)
    assert len(loads) == 2


def test_random_weights_follow_from_the_seed(model: ModelConfig, loads: list[int]) -> None:
    random = model.model_copy(update={"weights": "random"})
    first, second = (dict(encoder_of(random, seed).named_parameters()) for seed in (1, 2))
    assert not all(torch.equal(first[name], second[name]) for name in first)
    assert loads == [1, 2]


def test_trials_with_the_same_files_share_a_tokenizer(model: ModelConfig) -> None:
    files = files_of(model)
    assert tokenizer_of(model, files) is tokenizer_of(model, files)
