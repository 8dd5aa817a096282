"""Reads and checks an encoder's config.json, and applies ``num_layers`` and ``dropout``."""

import json
from pathlib import Path
from typing import Any, Literal

from torch import nn
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel

from trainables.config.trial import ModelConfig
from trainables.models.families import FAMILIES, REFUSED, Family, why_refused
from trainables.models.files import encoder_error
from trainables.models.quiet import quiet
from trainables.models.text_to_text import new_model

MAX_LAYERS = 1000
"""Upper limit for the layers of an encoder; each takes time to create, even without weights."""

_CLASSIFIER_DROPOUT = (
    "classifier_dropout",
    "classifier_dropout_prob",
    "seq_classif_dropout",
    "cls_dropout",
    "summary_last_dropout",
)
"""The families' names for the dropout of their own classifiers."""

_HIDDEN_DROPOUT = (
    "hidden_dropout_prob",
    "hidden_dropout",
    "dropout",
    "mlp_dropout",
    "dropout_rate",
    "resid_pdrop",
)
"""The families' names for the dropout of hidden states, in order of preference."""


def read_architecture(model: ModelConfig, folder: Path) -> PretrainedConfig:
    """Read an encoder's configuration and apply ``num_layers`` and ``dropout``.

    Layers are cut here and not after loading, so the others are never created, in any family.

    Raises:
        EncoderError: the file is unreadable, refers to code of its own, is of a type without a row
            in ``FAMILIES``, has fewer layers than ``num_layers``, or is of weights that are
            quantised or read a text from left to right where the first token speaks.
    """
    _refuse_files(model, folder)
    try:
        with quiet():
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise encoder_error(
            model, "encoder", f"its config.json cannot be used ({reason}); choose another encoder"
        ) from error
    if config.model_type not in FAMILIES:
        raise encoder_error(model, "encoder", why_refused(config.model_type))
    layers = getattr(config, "num_hidden_layers", None)
    if not isinstance(layers, int) or not 1 <= layers <= MAX_LAYERS:
        raise encoder_error(
            model, "encoder", f"its config.json has num_hidden_layers={layers!r:.40}"
        )
    _refuse_settings(model, config)
    _set_switches(config)
    if model.num_layers is not None:
        _cut_layers(model, config, model.num_layers)
    if config.model_type == "big_bird":
        # With sparse attention the first short batch would turn it to full for good.
        config.attention_type = "original_full"
    if model.dropout is not None:
        for name in dropout_fields(config):
            setattr(config, name, model.dropout)
    return config


def family_of(config: PretrainedConfig) -> Family:
    """The row of a model's type, whose configuration ``read_architecture`` has read."""
    return FAMILIES[config.model_type]


def speaker(config: PretrainedConfig) -> Literal["first", "last", "mean"]:
    """What stands for a text (``Family.speaks``); the mean in a decoder made bidirectional."""
    if getattr(config, "use_bidirectional_attention", False):
        return "mean"
    return family_of(config).speaks


def layer_lists(model: PreTrainedModel) -> list[str]:
    """Names of the modules that hold a model's layers, one entry for each layer.

    Most families have one such list, XLM one for each part of a layer. Empty where all layers are
    the same one.
    """
    if family_of(model.config).shared_layers:
        return []
    count = model.config.num_hidden_layers
    found: list[str] = []
    for name, module in model.named_modules():
        inner = any(name.startswith(f"{outer}.") for outer in found)
        if isinstance(module, nn.ModuleList) and len(module) == count and not inner:
            found.append(name)
    return found


def fresh_model(model: ModelConfig, config: PretrainedConfig) -> PreTrainedModel:
    """Make a model with random weights in float32.

    Raises:
        EncoderError: transformers cannot make a model from the configuration.
    """
    try:
        return new_model(config)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise encoder_error(
            model, "encoder", f"its config.json makes no model ({reason}); choose another encoder"
        ) from error


def dropout_fields(config: PretrainedConfig) -> list[str]:
    """Names of all dropout probabilities in a configuration of any family."""
    return [
        name
        for name, value in config.to_dict().items()
        if ("dropout" in name or name.endswith("pdrop"))
        and isinstance(value, int | float)
        and not isinstance(value, bool)
    ]


def head_dropout(config: PretrainedConfig) -> float:
    """Dropout probability of the family's own classifier, which is that of its hidden states where
    the configuration has none of its own; ``Family.dropout`` if it has neither.
    """
    return _first(config, _CLASSIFIER_DROPOUT + _HIDDEN_DROPOUT)


def hidden_dropout(config: PretrainedConfig) -> float:
    """Dropout probability of hidden states; ``Family.dropout`` if the configuration has none."""
    return _first(config, _HIDDEN_DROPOUT)


def _first(config: PretrainedConfig, names: tuple[str, ...]) -> float:
    """The first of ``names`` that the configuration gives a number."""
    for name in names:
        value = getattr(config, name, None)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return family_of(config).dropout


def has_segments(config: PretrainedConfig) -> bool:
    """Whether a model is told the two texts of a pair apart by segments.

    The model decides, not its tokenizer: classes of transformers 5 no longer name segments among
    a tokenizer's outputs for several families that have them.
    """
    segments, types = family_of(config).segments, getattr(config, "type_vocab_size", 0) or 0
    return segments == "always" or (segments and types > 1)


def has_pooler(model: PreTrainedModel) -> bool:
    """Whether a transformers model has a pooler of the first token."""
    return not isinstance(getattr(model, "pooler", None), nn.Identity | None)


def _refuse_settings(model: ModelConfig, config: PretrainedConfig) -> None:
    """Raise ``EncoderError`` for settings with which a trained model would be a wrong one."""
    if quantised := getattr(config, "quantization_config", None):
        method = quantised.get("quant_method") if isinstance(quantised, dict) else quantised
        raise encoder_error(
            model,
            "encoder",
            f"its weights are quantised (quantization_config of its config.json: {method!s:.40}), "
            "and cannot be trained; choose the repository with the full weights",
        )
    for name in ("is_decoder", "causal"):
        if family_of(config).speaks == "first" and getattr(config, name, False):
            raise encoder_error(
                model,
                "encoder",
                f"its config.json has {name}=true: its first token, which stands for a text, would "
                "see no other token; set it to false, or choose an encoder",
            )


def _set_switches(config: PretrainedConfig) -> None:
    """Set what changes how a model computes and what else it returns, but not its answers."""
    config._attn_implementation = None
    config.output_attentions = False
    config.output_hidden_states = False
    config.return_dict = True
    # In a batch whose length is no multiple of it there would be an error.
    config.chunk_size_feed_forward = 0
    if hasattr(config, "use_tpu_fourier_optimizations"):
        config.use_tpu_fourier_optimizations = False


def _refuse_files(model: ModelConfig, folder: Path) -> None:
    """Raise ``EncoderError`` if the files need foreign code to be run, or are of a refused type.

    A config.json whose type transformers has is read by transformers alone: the library's own class
    takes precedence over the code that ``auto_map`` names, as no remote code is trusted.
    """
    for name in ("config.json", "tokenizer_config.json"):
        path = folder / name
        if not path.is_file():
            continue
        try:
            content: Any = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise encoder_error(model, "encoder", f"{path} is not JSON ({error})") from error
        if not isinstance(content, dict):
            raise encoder_error(model, "encoder", f"{path} is not a JSON object")
        kind = content.get("model_type") if name == "config.json" else None
        if isinstance(kind, str) and kind in REFUSED:
            raise encoder_error(model, "encoder", why_refused(kind))
        known = isinstance(kind, str) and kind in FAMILIES
        if content.get("auto_map") and not known:
            raise encoder_error(
                model,
                "encoder",
                f"{path} asks to run code of its own (auto_map), which is never done; choose an "
                "encoder whose architecture is part of transformers",
            )


def _cut_layers(model: ModelConfig, config: PretrainedConfig, keep: int) -> None:
    """Set the number of layers in ``config`` to the first ``keep``."""
    layers = config.num_hidden_layers
    if keep > layers:
        raise encoder_error(
            model,
            "num_layers",
            f"{model.encoder} has {layers} layers; give {layers} or fewer, or leave it out",
        )
    family = family_of(config)
    why = family.whole
    if family.shared_layers and getattr(config, "num_hidden_groups", 1) > 1:
        why = "its layers are divided into groups by their number"
    if why and keep < layers:
        raise encoder_error(
            model, "num_layers", f"a {config.model_type} cannot be cut: {why}; leave it out"
        )
    config.num_hidden_layers = keep
    for name in family.per_layer:
        entries = getattr(config, name, None)
        if isinstance(entries, list):
            setattr(config, name, entries[:keep])
