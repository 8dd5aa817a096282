"""Properties that every kind of head has, on every family's encoder; and those of some."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from trainables.config.methods import HeadConfig
from trainables.config.trial import ModelConfig
from trainables.data.splits import fingerprint
from trainables.data.task import Split, TaskData
from trainables.data.tokens import tokenize_task
from trainables.models.classifier import Classifier
from trainables.models.encoder import load_encoder, load_tokenizer
from trainables.models.head import Encoded
from trainables.models.heads import HEADS
from trainables.models.san import STEPS, StochasticAnswerNetwork
from trainables.models.saved import load_classifier, save_classifier

Configure = Callable[..., ModelConfig]
PAIRS = [
    ("a dog", "the cat sees a big red bird"),
    ("the cat sees a big red bird", "a dog"),
    ("this house was dull", "the teacher reads a book and a child never reads"),
]


def batch_of(model: ModelConfig, pairs: list[tuple[str, str]], cache: Path) -> dict[str, Tensor]:
    """The pairs as training would see them."""
    labels = np.arange(len(pairs), dtype=np.int64) % 2
    splits = {"train": Split([(a, b) for a, b in pairs], labels)}
    task = TaskData("t", ("n", "p"), splits, fingerprint(("n", "p"), splits), "test", True)
    split = tokenize_task(task, load_tokenizer(model), max_length=64, prefix=None, cache_dir=cache)[
        "train"
    ]
    return split.collate(np.arange(len(pairs)))


def make(model: ModelConfig, name: str) -> Classifier:
    kinds = {"t": HeadConfig.model_validate({"name": name})}
    classifier = Classifier(load_encoder(model, 41), {"t": 2}, 41, kinds=kinds)
    # Large weights, so that a difference would show.
    with torch.no_grad():
        for parameter in classifier.head("t").parameters():
            if parameter.dim() > 1:
                parameter.mul_(10)
    return classifier


@pytest.mark.parametrize("name", HEADS)
def test_padding_and_the_others_in_a_batch_change_nothing(
    name: str, family: str, configure: Configure, tmp_path: Path
) -> None:
    model = configure(family)
    classifier = make(model, name).eval()
    with torch.no_grad():
        together = classifier(batch_of(model, PAIRS, tmp_path), "t")
        for row, pair in enumerate(PAIRS):
            alone = classifier(batch_of(model, [pair], tmp_path), "t")
            torch.testing.assert_close(alone[0], together[row], atol=1e-5, rtol=1e-4)
    assert together.shape == (3, 2)
    assert not torch.allclose(together[0], together[1], atol=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_gradients_reach_the_whole_head(name: str, configure: Configure, tmp_path: Path) -> None:
    model = configure("bert")
    classifier = make(model, name).train()
    classifier(batch_of(model, PAIRS, tmp_path), "t")[:, 0].sum().backward()
    for key, parameter in classifier.head("t").named_parameters():
        assert parameter.grad is not None, key
        # A constant added to all of a softmax's inputs changes nothing.
        assert parameter.grad.any() or key == "summary.bias", key


@pytest.mark.parametrize("name", HEADS)
def test_a_saved_model_has_its_head_again(name: str, configure: Configure, tmp_path: Path) -> None:
    model = configure("roberta")
    classifier = make(model, name).eval()
    save_classifier(tmp_path / "saved", classifier, load_tokenizer(model), {})
    loaded, _, _ = load_classifier(tmp_path / "saved")
    batch = batch_of(model, PAIRS, tmp_path)
    with torch.no_grad():
        assert torch.equal(loaded(batch, "t"), classifier(batch, "t"))


def test_a_heads_own_dropout_takes_the_place_of_the_models(configure: Configure) -> None:
    encoder = load_encoder(configure("bert"), 41)
    own = HeadConfig(dropout=0.05)
    classifier = Classifier(encoder, {"a": 2, "b": 2}, 41, 0.3, {"a": own})
    rates = {
        name: next(m.p for m in classifier.head(name).modules() if isinstance(m, torch.nn.Dropout))
        for name in ("a", "b")
    }
    assert rates == {"a": 0.05, "b": 0.3}


def test_the_stochastic_answer_network_answers_with_probabilities(
    configure: Configure, tmp_path: Path
) -> None:
    model = configure("bert")
    classifier = make(model, "san").eval()
    logits = classifier(batch_of(model, PAIRS, tmp_path), "t")
    torch.testing.assert_close(logits.exp().sum(dim=-1), torch.ones(3))


def test_the_stochastic_answer_network_is_that_of_the_equations() -> None:
    """Liu, Duh and Gao 2018, section 2, one example and one token at a time."""
    torch.manual_seed(0)
    head = StochasticAnswerNetwork(4, 3, 0.5).eval()
    hidden = torch.randn(2, 6, 4)
    texts = torch.tensor([[0, 1, 1, 0, 2, 0], [0, 1, 0, 2, 2, 2]])
    with torch.no_grad():
        output = head(Encoded(hidden, hidden[:, 0], None, torch.ones(2, 6), texts))
        for row in range(2):
            premise = [hidden[row, t] for t in range(6) if texts[row, t] == 1]
            hypothesis = [hidden[row, t] for t in range(6) if texts[row, t] == 2]
            alphas = torch.cat([head.summary(h) for h in hypothesis]).softmax(0)
            s = sum(a * h for a, h in zip(alphas, hypothesis, strict=True))
            mean = torch.zeros(3)
            for _ in range(5):
                betas = torch.stack([head.attention.weight @ s @ p for p in premise]).softmax(0)
                x = sum(b * p for b, p in zip(betas, premise, strict=True))
                mean += head.out(torch.cat([s, x, (s - x).abs(), s * x])).softmax(0) / 5
                s = head.cell(x, s)
            torch.testing.assert_close(output[row].exp(), mean)


def test_the_stochastic_answer_network_drops_features_of_a_text_for_all_its_tokens() -> None:
    torch.manual_seed(0)
    thinned = StochasticAnswerNetwork(64, 2, 0.5).train()._thinned(torch.ones(2, 5, 64))
    assert (thinned == thinned[:, :1]).all()
    assert set(thinned.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(thinned[0], thinned[1])


def test_the_stochastic_answer_network_drops_answers_but_never_all() -> None:
    torch.manual_seed(0)
    head = StochasticAnswerNetwork(8, 2, 0.0).train()
    shares = head._shares(4000, torch.device("cpu"))
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(4000))
    dropped = float((shares == 0).float().mean())
    # One of the five is always kept.
    assert dropped == pytest.approx(0.1 * (1 - 1 / STEPS), abs=0.01)
    assert torch.equal(head.eval()._shares(2, torch.device("cpu")), torch.full((2, STEPS), 0.2))


def test_the_texts_of_a_pair_are_told_apart(
    family: str, configure: Configure, tmp_path: Path
) -> None:
    batch = batch_of(configure(family), PAIRS[:1], tmp_path)
    texts = batch["texts"][0].tolist()
    assert texts[0] == 0
    assert texts[-1] == 0
    assert sorted(set(texts)) == [0, 1, 2]
    assert [t for t in texts if t] == sorted(t for t in texts if t)
