"""Embeddings of words that occur nowhere are set aside, and change nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers.tiny_encoders import SPECIMENS, build_encoder
from tests.helpers.trials import ARMS, finished, trial_config
from trainables.config.methods import AdapterConfig
from trainables.config.trial import ModelConfig
from trainables.models.adapter import add_adapter
from trainables.models.classifier import Classifier
from trainables.models.encoder import load_encoder, load_tokenizer
from trainables.models.saved import load_classifier
from trainables.models.shortcuts.vocabulary import (
    UsedEmbeddings,
    restore_vocabulary,
    trim_vocabulary,
)
from trainables.training.checkpoint import checkpoints
from trainables.trial import build

TEXTS = ["a dog", "the cat sees a big red bird", "this house was dull"]

WHOLE = {
    *("bart", "embeddinggemma", "gemma", "gemma2", "gemma3_text", "mt5", "t5", "umt5"),
    "ibert",
}
"""Specimens whose word embeddings are used in two places, or are more than a table."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where specimens are written."""
    return tmp_path_factory.mktemp("vocabulary")


def configured(name: str, folders: Path) -> ModelConfig:
    folder = folders / name
    if not folder.exists():
        build_encoder(name, folder)
    return ModelConfig(encoder=str(folder), max_length=48)


@pytest.mark.parametrize("specimen", SPECIMENS)
def test_answers_and_gradients_are_the_same_bits(specimen: str, folders: Path) -> None:
    model = configured(specimen, folders)
    tokenizer = load_tokenizer(model)
    batch = dict(tokenizer(TEXTS, padding=True, return_tensors="pt"))
    results = []
    for trimmed in (False, True):
        classifier = Classifier(load_encoder(model, 41), {"a": 2}, 41).eval()
        before = classifier.parameters_count, classifier.trained_count
        if trimmed:
            texts = [np.array(ids) for ids in tokenizer(TEXTS)["input_ids"]]
            pad_id = tokenizer.pad_token_id
            assert isinstance(pad_id, int)
            trim_vocabulary(classifier.encoder, texts, pad_id)
        assert (classifier.parameters_count, classifier.trained_count) == before
        logits = classifier(batch, "a")
        logits.square().sum().backward()
        words = classifier.encoder.word_embeddings
        assert isinstance(words, UsedEmbeddings) == (trimmed and specimen not in WHOLE)
        gradient = next(words.parameters()).grad
        assert gradient is not None
        if isinstance(words, UsedEmbeddings):
            assert len(words.weight) < words.whole.num_embeddings
            rows, gradient = gradient, torch.zeros_like(words.whole.weight)
            gradient[words.row_of >= 0] = rows
        restore_vocabulary(classifier.encoder)
        results.append((logits.detach(), gradient, classifier.state_dict()))
    (logits, gradient, weights), trimmed_results = results
    assert torch.equal(logits, trimmed_results[0])
    assert torch.equal(gradient, trimmed_results[1])
    assert weights.keys() == trimmed_results[2].keys()
    assert all(torch.equal(tensor, trimmed_results[2][name]) for name, tensor in weights.items())


@pytest.mark.parametrize("arm", ARMS)
def test_a_trial_gives_the_same_numbers_bit_for_bit(
    arm: str, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = trial_config(arm, tiny_bert, weight_decay=0.0)
    trimmed, first = finished(config, tmp_path / "trimmed", save_model=True)
    monkeypatch.setattr(build, "trim_vocabulary", lambda *_: None)
    whole, second = finished(config, tmp_path / "whole", save_model=True)
    assert trimmed.results == whole.results
    assert [e.train_loss for e in trimmed.history] == [e.train_loss for e in whole.history]
    assert trimmed.parameters == whole.parameters
    assert trimmed.trained_parameters == whole.trained_parameters
    ours, theirs = (
        load_classifier(trial.run_dir.model(config.key))[0].state_dict()
        for trial in (first, second)
    )
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_a_saved_model_has_unused_words_as_they_were_and_a_checkpoint_has_none(
    tiny_bert: Path, tmp_path: Path
) -> None:
    config = trial_config("single_task", tiny_bert, weight_decay=0.5)
    _, trial = finished(
        config, tmp_path, save_model=True, checkpoint_every=1e-9, keep_checkpoints=True
    )
    [saved, _, _] = load_classifier(trial.run_dir.model(config.key))
    before = load_encoder(config.model, config.seed).word_embeddings
    now = saved.encoder.word_embeddings
    assert isinstance(before, torch.nn.Embedding)
    assert isinstance(now, torch.nn.Embedding)
    same = (before.weight == now.weight).all(dim=1)
    assert 0 < int(same.sum()) < len(same)
    [newest, *_] = checkpoints(trial.run_dir.checkpoints(config.key))
    moments = torch.load(newest / "parts.pt", weights_only=True)["optimizer"]["state"]
    shapes = {tuple(state["exp_avg"].shape) for state in moments.values()}
    used = int((~same).sum())
    assert all(rows < len(same) for rows, *_ in shapes)
    assert any(used <= rows < len(same) for rows, *width in shapes if width)


def test_frozen_words_remain_whole(folders: Path) -> None:
    encoder = load_encoder(configured("bert", folders), 41)
    add_adapter(encoder, AdapterConfig(rank=2), 41)
    trim_vocabulary(encoder, [np.array([5])], 0)
    assert not isinstance(encoder.word_embeddings, UsedEmbeddings)


def test_a_word_that_was_set_aside_is_refused(folders: Path) -> None:
    encoder = load_encoder(configured("bert", folders), 41)
    trim_vocabulary(encoder, [np.array([5])], 0)
    with pytest.raises(IndexError):
        encoder.word_embeddings(torch.tensor([[6, 7, 8]]))
