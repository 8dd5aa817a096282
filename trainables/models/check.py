"""Checks an encoder before any trial starts, without loading its weights."""

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from trainables.config.trial import ModelConfig
from trainables.errors import EncoderError
from trainables.models.architecture import fresh_model, has_pooler, read_architecture
from trainables.models.encoder_info import EncoderInfo
from trainables.models.files import encoder_error, file_names, weight_files
from trainables.models.quiet import quiet
from trainables.models.source import Source, locate
from trainables.models.tokenizer import read_tokenizer


def check_encoder(model: ModelConfig, name: str) -> EncoderInfo:
    """Check that an encoder can be trained as configured.

    It checks the configuration, the tokenizer, that the weights exist and are readable, the
    checksum of an embedded model, ``num_layers`` and ``max_length``. For a Hub model that is not in
    the local cache it downloads only the small files; a trial downloads the weights.

    Args:
        model: the encoder's configuration.
        name: its name under ``define.models``, for messages.

    Raises:
        EncoderError: something is wrong; the message begins with the key at fault.
    """
    try:
        return _check(model)
    except EncoderError as error:
        raise EncoderError(f"define.models.{name}.{error}") from error


def _check(model: ModelConfig) -> EncoderInfo:
    source = locate(model, download_weights=False)
    config = read_architecture(model, source.folder)
    tokenizer = read_tokenizer(model, source.folder)
    with quiet(), torch.device("meta"):
        skeleton = fresh_model(model, config)
    if len(tokenizer) > config.vocab_size:
        raise encoder_error(
            model,
            "encoder",
            f"its tokenizer has {len(tokenizer)} tokens, but the model only {config.vocab_size} "
            "embeddings; they do not belong together",
        )
    longest = _longest(skeleton, config)
    if longest is not None and model.max_length > longest:
        raise encoder_error(
            model,
            "max_length",
            f"{model.encoder} reads at most {longest} tokens; give {longest} or less",
        )
    if model.weights == "pretrained":
        tensors = _tensor_names(model, source)
        if has_pooler(skeleton) and not any("pooler." in tensor for tensor in tensors):
            skeleton.pooler = None  # type: ignore[assignment]
    return EncoderInfo(
        parameters=sum(parameter.numel() for parameter in skeleton.parameters()),
        hidden_size=config.hidden_size,
        num_layers=config.num_hidden_layers,
        origin=source.origin,
    )


def _longest(skeleton: PreTrainedModel, config: PretrainedConfig) -> int | None:
    """The most tokens that the model has positions for; None if there is no limit."""
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None or positions <= 0:
        return None
    for name, module in skeleton.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            # RoBERTa and its relatives count positions from padding_idx + 1.
            return positions - (0 if module.padding_idx is None else module.padding_idx + 1)
    return positions


def _tensor_names(model: ModelConfig, source: Source) -> set[str]:
    """Names of the tensors in the weights, from the local files or else from the Hub."""
    files = weight_files(file_names(source.folder))
    if not files and source.repository is not None:
        from trainables.models.hub import tensor_names

        return tensor_names(model, source.repository)
    names: set[str] = set()
    for file in files:
        path = source.folder / file
        try:
            with safe_open(path, framework="pt") as tensors:
                names.update(tensors.keys())
        except (SafetensorError, OSError) as error:
            raise encoder_error(
                model, "encoder", f"{path} is damaged ({error}); fetch it again"
            ) from error
    return names
