"""One contract over every row of the table of families, on tiny models of each."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tests.conftest import PROJECT
from tests.helpers.reference_pairs import FIRST, SECOND
from tests.helpers.tiny_encoders import LAYERS, POSITIONS, SPECIMENS, build_encoder
from tests.helpers.trials import finished, trial_config
from trainables.config.methods import AdapterConfig
from trainables.config.trial import LimitsConfig, ModelConfig
from trainables.errors import EncoderError
from trainables.models.adapter import add_adapter
from trainables.models.architecture import layer_lists
from trainables.models.classifier import Classifier
from trainables.models.encoder import Encoder, check_encoder, load_encoder, load_tokenizer
from trainables.models.families import FAMILIES, REFUSED
from trainables.models.saved import load_classifier, save_classifier
from trainables.training.gpu_memory import UncountableError, estimate_gpu_memory
from trainables.training.layer_depth import layer_depths

REFERENCE = json.loads((PROJECT / "tests" / "fixtures" / "encoder_pairs.json").read_text())
"""What transformers 4.57.3 makes of two texts; see ``tests/helpers/reference_pairs.py``."""

PAIRS = [
    ("a dog", "the cat sees a big red bird"),
    (FIRST, SECOND),
    ("this house was dull, and the child never reads", "the teacher finds a book with a song"),
]
SEPARATED = {
    *("embeddinggemma", "gemma", "gemma2", "gemma3_text", "gpt2", "llama", "mistral"),
    *("phi", "qwen2", "qwen3", "smollm3"),
}
"""Specimens whose tokenizers put nothing between two texts, or repeat the start of a text."""
UNLIMITED = {"mt5", "t5", "umt5", "xlnet"}
"""Specimens whose positions are relative."""
UNCOUNTABLE = {"flaubert", "ibert", "longformer", "xlm", "xmod"}
"""Specimens whose code looks at the content of its inputs."""

Configure = Callable[..., ModelConfig]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Writes each specimen once; its folder is never changed by a test."""
    root = tmp_path_factory.mktemp("families")
    return cache(lambda name: build_encoder(name, root / name))


@pytest.fixture(params=SPECIMENS)
def specimen(request: pytest.FixtureRequest) -> str:
    """Each specimen in turn."""
    return request.param


@pytest.fixture
def configure(build: Callable[[str], Path]) -> Configure:
    """``configure("bert", num_layers=1)``: a specimen's model, and changes."""

    def make(name: str, **changes: Any) -> ModelConfig:
        return ModelConfig.model_validate({"encoder": str(build(name)), "max_length": 48} | changes)

    return make


def batch_of(tokenizer: Any, pairs: list[tuple[str, str]]) -> dict[str, Tensor]:
    first, second = zip(*pairs, strict=True)
    return dict(tokenizer(list(first), list(second), padding=True, return_tensors="pt"))


def classifier_of(model: ModelConfig) -> Classifier:
    """With a head of large weights, so that a difference would show."""
    classifier = Classifier(load_encoder(model, 41), {"a": 2}, 41).eval()
    with torch.no_grad():
        for parameter in classifier.heads.parameters():
            parameter.mul_(20)
    return classifier


def encoded(encoder: Encoder, batch: dict[str, Tensor]) -> Tensor:
    """Hidden states of the tokens that are no padding, zeros elsewhere."""
    with torch.no_grad():
        hidden = encoder.eval()(
            batch["input_ids"], batch["attention_mask"], batch.get("token_type_ids")
        ).hidden
    return hidden * batch["attention_mask"].unsqueeze(-1)


def test_every_row_has_a_specimen() -> None:
    assert {specimen.kind for specimen in SPECIMENS.values()} == set(FAMILIES)
    assert not FAMILIES.keys() & REFUSED


def test_texts_are_written_as_the_family_writes_them(
    specimen: str, configure: Configure, tmp_path: Path
) -> None:
    model = configure(specimen)
    expected = REFERENCE[specimen]
    encoder, tokenizer = load_encoder(model, 41), load_tokenizer(model)
    save_classifier(tmp_path / "saved", Classifier(encoder, {"a": 2}, 41), tokenizer, {})
    for ours in (tokenizer, load_classifier(tmp_path / "saved")[1]):
        assert ours(FIRST)["input_ids"] == expected["single"]
        pair = ours(FIRST, SECOND)
        ids = expected["pair"]
        if specimen in SEPARATED:
            first = len(expected["single"])
            line_break = ours("\n", add_special_tokens=False)["input_ids"]
            ids = ids[:first] + line_break + [i for i in ids[first:] if i != ours.bos_token_id]
        assert pair["input_ids"] == ids
        if expected["segments"] and any(expected["segments"]) and encoder.has_segments:
            assert pair["token_type_ids"] == expected["segments"]


def test_segments_reach_the_models_that_have_them(specimen: str, configure: Configure) -> None:
    model = configure(specimen)
    encoder, batch = load_encoder(model, 41), batch_of(load_tokenizer(model), PAIRS)
    without = {name: tensor for name, tensor in batch.items() if name != "token_type_ids"}
    differs = not torch.equal(encoded(encoder, batch), encoded(encoder, without))
    segments = REFERENCE[specimen]["segments"]
    types = getattr(encoder.model.config, "type_vocab_size", 0) or 0
    read = types > 1 or FAMILIES[SPECIMENS[specimen].kind].segments == "always"
    assert differs == (segments is not None and any(segments) and read)


def test_a_text_alone_and_in_a_padded_batch_are_the_same(
    specimen: str, configure: Configure
) -> None:
    model = configure(specimen)
    tokenizer, classifier = load_tokenizer(model), classifier_of(model)
    with torch.no_grad():
        together = classifier(batch_of(tokenizer, PAIRS), "a")
        alone = torch.cat([classifier(batch_of(tokenizer, [pair]), "a") for pair in PAIRS])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)
    assert (together[0] - together[1]).abs().max() > 1e-4


def test_a_saved_model_answers_as_before(
    specimen: str, configure: Configure, tmp_path: Path
) -> None:
    model = configure(specimen)
    tokenizer, classifier = load_tokenizer(model), classifier_of(model)
    save_classifier(tmp_path / "saved", classifier, tokenizer, {})
    loaded, same_tokenizer, _ = load_classifier(tmp_path / "saved")
    with torch.no_grad():
        before = classifier(batch_of(tokenizer, PAIRS), "a")
        assert torch.equal(loaded(batch_of(same_tokenizer, PAIRS), "a"), before)


def test_an_adapter_reaches_every_layer_or_is_refused(specimen: str, configure: Configure) -> None:
    model = configure(specimen)
    encoder = load_encoder(model, 41)
    refused = FAMILIES[SPECIMENS[specimen].kind].no_adapter
    assert check_encoder(model, "x").no_adapter == refused
    if refused:
        with pytest.raises(EncoderError, match="adapter"):
            add_adapter(encoder, AdapterConfig(rank=2), 41)
        return
    before = encoder.layer_of()
    add_adapter(encoder, AdapterConfig(rank=2), 41)
    encoder.train()
    batch = batch_of(load_tokenizer(model), PAIRS)
    outputs = encoder(batch["input_ids"], batch["attention_mask"], batch.get("token_type_ids"))
    outputs.summary.square().sum().backward()
    layer_of = encoder.layer_of()
    reached = {
        layer_of.get(id(p))
        for n, p in encoder.named_parameters()
        if "lora_" in n and p.grad is not None
    }
    assert reached >= set(before.values())


def test_layers_are_found(specimen: str, configure: Configure) -> None:
    classifier = Classifier(load_encoder(configure(specimen), 41), {"a": 2}, 41)
    depths = layer_depths(classifier)
    shared = FAMILIES[SPECIMENS[specimen].kind].shared_layers
    assert set(depths.values()) == ({0, 1} if shared else set(range(LAYERS + 2)))
    words = {id(p) for p in classifier.encoder.word_embeddings.parameters()}
    assert {depths[n] for n, p in classifier.named_parameters() if id(p) in words} == {0}
    assert {d for n, d in depths.items() if n.startswith("heads.")} == {max(depths.values())}


def test_the_limit_is_what_the_model_reads(specimen: str, configure: Configure) -> None:
    longest = configure(specimen, max_length=POSITIONS)
    check_encoder(longest, "x")
    words = " ".join(["cat"] * 100)
    batch = load_tokenizer(longest)(
        [words], truncation=True, max_length=POSITIONS, return_tensors="pt"
    )
    assert batch["input_ids"].shape == (1, POSITIONS)
    assert encoded(load_encoder(longest, 41), dict(batch)).isfinite().all()
    if specimen in UNLIMITED:
        check_encoder(configure(specimen, max_length=100 * POSITIONS), "x")
        return
    with pytest.raises(EncoderError, match=rf"max_length={POSITIONS + 1}: .* {POSITIONS} tokens"):
        check_encoder(configure(specimen, max_length=POSITIONS + 1), "x")


def test_num_layers_keeps_the_first_layers(specimen: str, configure: Configure) -> None:
    """The cut model is the whole one without its later layers."""
    whole, cut = (load_encoder(configure(specimen, **c), 41) for c in ({}, {"num_layers": 1}))
    assert check_encoder(configure(specimen, num_layers=1), "x").num_layers == 1
    state = whole.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in cut.state_dict().items())
    batch = batch_of(load_tokenizer(configure(specimen)), PAIRS)
    assert isinstance(whole.model, PreTrainedModel)
    for name in layer_lists(whole.model):
        parent, _, last = name.rpartition(".")
        first = nn.ModuleList(list(whole.model.get_submodule(name).children())[:1])
        setattr(whole.model.get_submodule(parent), last, first)
    whole.model.config.num_hidden_layers = 1
    for module in whole.model.modules():
        if hasattr(module, "n_layers"):
            vars(module)["n_layers"] = 1
    assert torch.equal(encoded(cut, batch), encoded(whole, batch))


def test_memory_is_counted_or_said_to_be_uncountable(specimen: str, configure: Configure) -> None:
    def count(batch_size: int) -> int:
        config = trial_config(
            "shared_encoder",
            Path(configure(specimen).encoder),
            tasks=("paraphrase",),
            batch_size=batch_size,
        )
        return estimate_gpu_memory(config, {"paraphrase": 2}).training

    if specimen in UNCOUNTABLE:
        with pytest.raises(UncountableError):
            count(8)
    else:
        assert 1.2 < count(16) / count(8) < 2.1


@pytest.fixture
def arms(request: pytest.FixtureRequest, specimen: str) -> list[str]:
    """The arms that are trained: every strategy with --encoders, else one."""
    if not request.config.getoption("--encoders"):
        return ["shared_encoder"]
    names = ["single_task", "naive_concat", "shared_encoder", "gradual_unfreezing"]
    adapter = not FAMILIES[SPECIMENS[specimen].kind].no_adapter
    return names + ["lora_shared"] * adapter


def test_it_trains(
    specimen: str, arms: list[str], build: Callable[[str], Path], tmp_path: Path
) -> None:
    limits = LimitsConfig(max_train_examples=8, max_validation_examples=6)
    for arm in arms:
        tasks = ("paraphrase",) if arm == "single_task" else ("acceptability", "paraphrase")
        folder = tmp_path / arm
        config = trial_config(
            arm, build(specimen), limits=limits, tasks=tasks, total_steps=2, epochs=1
        )
        record, trial = finished(config, folder, save_model=True)
        assert record.status.is_finished
        assert record.steps == 2
        loaded, tokenizer, _ = load_classifier(trial.run_dir.model(config.key))
        batch = batch_of(tokenizer, PAIRS)
        assert trial.loop is not None
        with torch.no_grad():
            for head in loaded.classes:
                trained = trial.loop.model.eval()(batch, head)
                torch.testing.assert_close(loaded(batch, head), trained, atol=1e-5, rtol=1e-4)
