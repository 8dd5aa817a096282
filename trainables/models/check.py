"""Checks an encoder before any trial starts, without loading its weights."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import (
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from trainables.config.trial import ModelConfig
from trainables.errors import EncoderError
from trainables.models.architecture import (
    family_of,
    fresh_model,
    has_pooler,
    has_segments,
    head_dropout,
    hidden_dropout,
    read_architecture,
)
from trainables.models.encoder_info import EncoderInfo
from trainables.models.files import encoder_error, file_names, weight_files
from trainables.models.quiet import quiet
from trainables.models.source import Source, locate
from trainables.models.tokenizer import library_tokenizer, read_tokenizer
from trainables.models.weights import leave_out_pooler, load_weights

_UNUSUAL_TEXTS = (
    "It's 2024-05-01, isn't it?",
    "Wide Café  naïve STRASSE straße",
    "see https://a.example/b?c=1 for 7.5%",
    "ＡＢＣ ① \u200b x",
    " a\tb\nc ",
    "日本語 テスト",
)


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
    _check_numbers(model, config, tokenizer)
    _check_special_tokens(model, config, tokenizer)
    _check_peculiar(model, config)
    skeleton = _skeleton(model, config, source)
    longest = _longest(skeleton, config)
    if longest is not None and model.max_length > longest:
        raise encoder_error(
            model,
            "max_length",
            f"{model.encoder} reads at most {longest} tokens; give {longest} or less",
        )
    return EncoderInfo(
        parameters=sum(parameter.numel() for parameter in skeleton.parameters()),
        hidden_size=config.hidden_size,
        num_layers=config.num_hidden_layers,
        origin=source.origin,
        no_adapter=family_of(config).no_adapter,
        corrections=_corrections(model, config, tokenizer, source.folder),
    )


def _check_numbers(
    model: ModelConfig, config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Raise ``EncoderError`` if tokens or segments have numbers without an embedding."""
    size, vocabulary = config.vocab_size, tokenizer.get_vocab()
    beyond = sorted((number, token) for token, number in vocabulary.items() if number >= size)
    if beyond:
        number, token = beyond[0]
        raise encoder_error(
            model,
            "encoder",
            f"its tokenizer has {len(beyond)} tokens for which the model has no embedding (number "
            f"{number}: {token!r:.40}; the model has {size}); they do not belong together, or the "
            "tokens were added without model.resize_token_embeddings, or tokenizer_config.json "
            "names other special tokens than the vocabulary has",
        )
    segments = max(tokenizer("a", "b").get("token_type_ids", [0]))
    types = getattr(config, "type_vocab_size", 0) or 0
    if has_segments(config) and 0 < types <= segments:
        raise encoder_error(
            model,
            "encoder",
            f"its tokenizer numbers the segments of a pair up to {segments}, but the model knows "
            f"only {types}; repair the post_processor in its tokenizer.json",
        )


def _check_special_tokens(
    model: ModelConfig, config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Raise ``EncoderError`` if a head would read a word, or a pair is two texts run together."""
    texts = tokenizer("a", "b").sequence_ids(0)
    advice = "add a post_processor to its tokenizer.json"
    if family_of(config).speaks == "first" and texts[0] is not None:
        raise encoder_error(
            model,
            "encoder",
            "its tokenizer puts no special token before a text, so that a head would classify by "
            f"the first word; {advice}",
        )
    words = [number for number, text in enumerate(texts) if text is not None]
    if None not in texts[words[0] : words[-1]]:
        raise encoder_error(
            model,
            "encoder",
            f"its tokenizer puts no special token between the two texts of a pair; {advice}",
        )


def _skeleton(model: ModelConfig, config: PretrainedConfig, source: Source) -> PreTrainedModel:
    """The model without content, as it will be trained."""
    if model.weights == "random":
        with quiet(), torch.device("meta"):
            return fresh_model(model, config)
    tensors = _tensor_names(model, source)
    if weight_files(file_names(source.folder)):
        return load_weights(model, config, source.folder, names_only=True)
    with quiet(), torch.device("meta"):
        skeleton = fresh_model(model, config)
    if has_pooler(skeleton) and not any("pooler." in tensor for tensor in tensors):
        leave_out_pooler(skeleton)
    return skeleton


def _check_peculiar(model: ModelConfig, config: PretrainedConfig) -> None:
    """Raise ``EncoderError`` for what only some types need, and would miss in their first batch."""
    if config.model_type == "xmod" and config.default_language not in config.languages:
        raise encoder_error(
            model,
            "encoder",
            f"its config.json has default_language={config.default_language}; set it to the "
            f"language of the texts, one of {', '.join(config.languages)}",
        )
    if config.model_type == "nystromformer":
        length = config.segment_means_seq_len
        if config.num_landmarks != length:
            raise encoder_error(
                model,
                "encoder",
                f"its config.json has num_landmarks={config.num_landmarks} and "
                f"segment_means_seq_len={length}; only where they are equal can transformers read "
                "padded texts",
            )


def _corrections(
    model: ModelConfig,
    config: PretrainedConfig,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
) -> tuple[str, ...]:
    """See ``EncoderInfo``; in the order of the alphabet."""
    found = set(family_of(config).changed)
    if family_of(config).idle:
        found.add("adapter")
    if model.dropout is None and head_dropout(config) != hidden_dropout(config):
        found.add("head dropout")
    own = tokenizer.init_kwargs.get("model_input_names") or type(tokenizer).model_input_names
    if "token_type_ids" not in own and any(tokenizer("a", "b").get("token_type_ids", ())):
        found.add("segments")
    plain = library_tokenizer(model, folder)
    if _words(tokenizer) != _words(plain):
        found.add("normalizer")
    before = _template(plain)
    if config.model_type == "deberta":
        first, last = (tokenizer.cls_token_id, None), (tokenizer.sep_token_id, None)
        before = [[first, (-1, 0), last], [first, (-1, 0), last, (-1, 1), last]]
    # Decoders have a separator of ours between the texts of a pair.
    compared = slice(1 if family_of(config).separator else 2)
    if _template(tokenizer)[compared] != before[compared]:
        found.add("template")
    if config.model_type == "big_bird":
        sparse_above = (5 + 2 * config.num_random_blocks) * config.block_size
        if model.max_length > sparse_above:
            found.add("full attention")
    return tuple(sorted(found))


def _words(tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """What a tokenizer makes of texts that are written in unusual ways, without special tokens."""
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in _UNUSUAL_TEXTS]


def _template(tokenizer: Any) -> list[list[tuple[int, int | None]]]:
    """The special tokens that a tokenizer puts around one text and two, and where texts stand."""
    found = []
    for texts in (("a",), ("a", "b")):
        encoded = tokenizer(*texts)
        pairs = zip(encoded["input_ids"], encoded.sequence_ids(0), strict=True)
        found.append([(token if text is None else -1, text) for token, text in pairs])
    return found


def _longest(skeleton: PreTrainedModel, config: PretrainedConfig) -> int | None:
    """The most tokens that the model has positions for; None if there is no limit."""
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None or positions <= 0:
        return None
    for name, module in skeleton.named_modules():
        if name.endswith("position_embeddings") and hasattr(module, "padding_idx"):
            # RoBERTa and its relatives count positions from padding_idx + 1.
            padding = module.padding_idx
            return positions - (padding + 1 if isinstance(padding, int) else 0)
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
