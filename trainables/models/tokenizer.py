"""Loads the fast tokenizer of an encoder."""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, processors
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from trainables.config.trial import ModelConfig
from trainables.models.architecture import family_of, has_segments, read_architecture
from trainables.models.files import encoder_error
from trainables.models.quiet import quiet
from trainables.models.source import locate


def load_tokenizer(model: ModelConfig) -> PreTrainedTokenizerBase:
    """Load the fast tokenizer of an encoder.

    It pads and truncates on the right, so that the first token is the one that a head reads, and
    gives segments where the model has them (``has_segments``), whatever its files say. Texts are
    normalised and divided into words as its tokenizer.json says, if there is one. Truncation
    and padding settings stored in the files are switched off; the caller gives them.

    A decoder's tokenizer without a padding token pads with the end of a text, and the two texts of
    a pair are separated (``Family.separator``).

    Raises:
        EncoderError: there is no tokenizer, only a slow one, or it has no padding token.
    """
    return read_tokenizer(model, locate(model, download_weights=False).folder)


def read_tokenizer(model: ModelConfig, folder: Path) -> PreTrainedTokenizerBase:
    """``load_tokenizer`` from the files in ``folder``."""
    config = read_architecture(model, folder)
    separator = family_of(config).separator
    tokenizer: Any = library_tokenizer(model, folder)
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None or not separator:
            raise encoder_error(
                model, "encoder", "its tokenizer has no pad_token; set one and save it again"
            )
        # Padding is masked, so that any token will do.
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    wanted = ["token_type_ids"] * has_segments(config) + ["attention_mask"]
    names = list(tokenizer.model_input_names)
    tokenizer.model_input_names = names + [name for name in wanted if name not in names]
    if config.model_type == "luke":
        tokenizer._tokenizer = _without_entities(tokenizer.backend_tokenizer, config.vocab_size)
    backend = tokenizer.backend_tokenizer
    if (folder / "tokenizer.json").is_file():
        # transformers 5 makes these anew from the class that tokenizer_config.json names, so that
        # a cased BERT without do_lower_case there would be read in lower case.
        own = Tokenizer.from_file(str(folder / "tokenizer.json"))
        backend.normalizer, backend.pre_tokenizer = own.normalizer, own.pre_tokenizer
    backend.no_truncation()
    backend.no_padding()
    if config.model_type == "deberta":
        # transformers 5 builds these tokenizers anew with two separators and no segments; the
        # model was trained on [CLS] A [SEP] B [SEP] (He et al. 2021, "DeBERTa").
        first, last = tokenizer.cls_token, tokenizer.sep_token
        backend.post_processor = processors.TemplateProcessing(
            single=f"{first}:0 $A:0 {last}:0",
            pair=f"{first}:0 $A:0 {last}:0 $B:1 {last}:1",
            special_tokens=[(first, tokenizer.cls_token_id), (last, tokenizer.sep_token_id)],
        )
    if separator:
        _separate_texts(tokenizer, separator)
    return tokenizer


def library_tokenizer(model: ModelConfig, folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in ``folder`` as transformers reads it.

    Raises:
        EncoderError: there is no tokenizer, or only a slow one.
    """
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(
                folder, use_fast=True, trust_remote_code=False, local_files_only=True
            )
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise encoder_error(model, "encoder", f"its tokenizer cannot be used ({reason})") from error
    if not tokenizer.is_fast:
        raise encoder_error(
            model, "encoder", "has only a slow tokenizer; add a tokenizer.json to it"
        )
    return tokenizer


def _without_entities(backend: Tokenizer, vocab_size: int) -> Tokenizer:
    """LUKE's tokenizer without the tokens of its entities, which transformers 5 adds to the text's.

    The model has no word embeddings for them.
    """
    content = json.loads(backend.to_str())
    words = [token for token in content["added_tokens"] if token["id"] < vocab_size]
    return Tokenizer.from_str(json.dumps(content | {"added_tokens": words}))


def _separate_texts(tokenizer: Any, separator: str) -> None:
    """Put ``separator`` between the texts of a pair, unless the tokenizer has a way of its own.

    The tokenizers of decoders run the two texts together, or put before the second what they put
    before every text.
    """
    pair = tokenizer("a", "a")
    ids, texts = pair["input_ids"], pair.sequence_ids(0)
    first_end, end = (len(texts) - texts[::-1].index(text) for text in (0, 1))
    start, between = ids[: texts.index(0)], ids[first_end : texts.index(1)]
    if between not in ([], start):
        return
    backend = tokenizer.backend_tokenizer
    between = backend.encode(separator, add_special_tokens=False).ids
    special = [
        {"id": name, "ids": part, "tokens": tokenizer.convert_ids_to_tokens(part)}
        for name, part in (("start", start), ("separator", between), ("end", ids[end:]))
        if part
    ]
    used = {"$A", "$B"} | {part["id"] for part in special}
    backend.post_processor = processors.TemplateProcessing(
        single=[part for part in ("start", "$A", "end") if part in used],
        pair=[part for part in ("start", "$A", "separator", "$B", "end") if part in used],
        special_tokens=special,
    )
