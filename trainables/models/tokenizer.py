"""Loads the fast tokenizer of an encoder."""

import json
import re
from pathlib import Path
from typing import Any

import transformers
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Tokenizer, normalizers, processors
from transformers import AutoTokenizer, PretrainedConfig, PreTrainedTokenizerBase

from trainables.config.trial import ModelConfig
from trainables.models.architecture import family_of, has_segments, read_architecture
from trainables.models.files import SENTENCE_PIECE_FILES, encoder_error
from trainables.models.quiet import quiet
from trainables.models.source import locate

_WITH_SETTINGS = ("CodeLlama", "Gemma", "Llama")
"""Beginnings of the names of the classes whose settings say what stands around a text."""


def load_tokenizer(model: ModelConfig) -> PreTrainedTokenizerBase:
    """Load the fast tokenizer of an encoder.

    It pads and truncates on the right, so that the first token is the one that a head reads, and
    gives segments where the model has them (``has_segments``), whatever its files say. Texts are
    normalised, divided into words and put between special tokens as its tokenizer.json says, if
    there is one, else as its SentencePiece model says. Truncation and padding settings stored in
    the files are switched off; the caller gives them.

    A tokenizer without a padding token pads with the one that config.json names; a decoder's else
    with the end of a text. The two texts of a pair are separated in a decoder's
    (``Family.separator``).

    Raises:
        EncoderError: there is no tokenizer, only a slow one, it has no padding token, or it makes
            nothing of a letter.
    """
    return read_tokenizer(model, locate(model, download_weights=False).folder)


def read_tokenizer(model: ModelConfig, folder: Path) -> PreTrainedTokenizerBase:
    """``load_tokenizer`` from the files in ``folder``."""
    config = read_architecture(model, folder)
    separator = family_of(config).separator
    tokenizer: Any = library_tokenizer(model, folder)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = _padding_token(model, config, tokenizer)
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    wanted = ["token_type_ids"] * has_segments(config) + ["attention_mask"]
    names = list(tokenizer.model_input_names)
    tokenizer.model_input_names = names + [name for name in wanted if name not in names]
    _take_out_unread(tokenizer, config)
    backend = tokenizer.backend_tokenizer
    template = None
    if (folder / "tokenizer.json").is_file():
        # transformers 5 makes these anew from the class that tokenizer_config.json names, so that
        # a cased BERT without do_lower_case there would be read in lower case.
        own = Tokenizer.from_file(str(folder / "tokenizer.json"))
        backend.normalizer, backend.pre_tokenizer = own.normalizer, own.pre_tokenizer
        template = own.post_processor
        if template is not None:
            backend.post_processor = template
    else:
        _normalise_as_sentence_piece(tokenizer, folder)
    _add_what_is_asked_for(tokenizer, folder)
    backend.no_truncation()
    backend.no_padding()
    if config.model_type == "deberta" and template is None:
        # transformers 5 builds these tokenizers anew with two separators and no segments; the
        # model was trained on [CLS] A [SEP] B [SEP] (He et al. 2021, "DeBERTa").
        first, last = tokenizer.cls_token, tokenizer.sep_token
        backend.post_processor = processors.TemplateProcessing(
            single=f"{first}:0 $A:0 {last}:0",
            pair=f"{first}:0 $A:0 {last}:0 $B:1 {last}:1",
            special_tokens=[(first, tokenizer.cls_token_id), (last, tokenizer.sep_token_id)],
        )
    if {0, 1} - set(tokenizer("a", "a").sequence_ids(0)):
        raise encoder_error(
            model,
            "encoder",
            "its tokenizer makes no token of the letter a; repair its tokenizer.json",
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
            tokenizer = _read(folder)
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        damaged = (folder / "tokenizer.json").is_file()
        advice = "fetch its files again" if damaged else "add a tokenizer.json to it"
        raise encoder_error(
            model, "encoder", f"its tokenizer cannot be used ({reason}); {advice}"
        ) from error
    if not tokenizer.is_fast:
        raise encoder_error(
            model, "encoder", "has only a slow tokenizer; add a tokenizer.json to it"
        )
    limit = tokenizer.model_max_length
    if not isinstance(limit, int | float):
        raise encoder_error(
            model,
            "encoder",
            f"its tokenizer_config.json has model_max_length={limit!r:.40}; write a number there, "
            "or leave it out",
        )
    return tokenizer


def _read(folder: Path) -> Any:
    """The tokenizer in ``folder``, in the class of its type or else the one that its files name.

    For some types transformers has no class that reads a SentencePiece model.
    """
    try:
        return AutoTokenizer.from_pretrained(
            folder, use_fast=True, trust_remote_code=False, local_files_only=True
        )
    except Exception:
        name = str(_settings(folder).get("tokenizer_class")).removesuffix("Fast")
        kind = getattr(transformers, name, None)
        if not (isinstance(kind, type) and issubclass(kind, PreTrainedTokenizerBase)):
            raise
        return kind.from_pretrained(folder, trust_remote_code=False, local_files_only=True)


def _settings(folder: Path) -> dict[str, Any]:
    """The content of tokenizer_config.json; empty if there is none."""
    path = folder / "tokenizer_config.json"
    return json.loads(path.read_bytes()) if path.is_file() else {}


def _padding_token(model: ModelConfig, config: PretrainedConfig, tokenizer: Any) -> str:
    """What texts are padded with where the tokenizer's files do not say it.

    Padding is masked, so that any special token will do.
    """
    numbers = [config.pad_token_id]
    if family_of(config).separator:
        if tokenizer.eos_token is not None:
            return tokenizer.eos_token
        ends = config.eos_token_id
        numbers += ends if isinstance(ends, list) else [ends]
    special = {n: token.content for n, token in tokenizer.added_tokens_decoder.items()}
    for number in numbers:
        if number in special:
            return special[number]
    raise encoder_error(
        model, "encoder", "its tokenizer has no pad_token; set one and save it again"
    )


def _take_out_unread(tokenizer: Any, config: PretrainedConfig) -> None:
    """Take the tokens out of a tokenizer that ``Family.unread`` names, beyond the embeddings.

    Such as LUKE's entities, which transformers 5 adds to the tokens of the text, T5's sentinels,
    of which it always makes a hundred, and the token for an image in Gemma 3's text models.
    """
    unread, size = family_of(config).unread, config.vocab_size
    if not unread or len(tokenizer) <= size:
        return
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    kept = [
        token
        for token in content["added_tokens"]
        if token["id"] < size or not re.fullmatch(unread, token["content"])
    ]
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(content | {"added_tokens": kept}))


def _normalise_as_sentence_piece(tokenizer: Any, folder: Path) -> None:
    """Give a tokenizer the rules for characters of the SentencePiece model that it was made of.

    transformers 5 leaves them out in some families (DeBERTa v2 and v3, BigBird).
    """
    backend = tokenizer.backend_tokenizer
    for name in SENTENCE_PIECE_FILES:
        if not (folder / name).is_file() or "Precompiled" in str(backend.normalizer):
            continue
        content: Any = getattr(sentencepiece_model_pb2, "ModelProto")()  # noqa: B009
        content.ParseFromString((folder / name).read_bytes())
        rules = content.normalizer_spec.precompiled_charsmap
        if rules:
            steps = [normalizers.Precompiled(rules), normalizers.Strip(left=False, right=True)]
            rest = [backend.normalizer] if backend.normalizer is not None else []
            backend.normalizer = normalizers.Sequence([*steps, *rest])


def _add_what_is_asked_for(tokenizer: Any, folder: Path) -> None:
    """Begin and end texts with the tokens that the settings of Llama's and Gemma's classes ask for.

    transformers 5 ignores these settings beside a tokenizer.json, where earlier versions followed
    them: a text that is read by its last token would lack it.
    """
    settings = _settings(folder)
    asked = {"add_bos_token", "add_eos_token"} & settings.keys()
    if not asked or not str(settings.get("tokenizer_class")).startswith(_WITH_SETTINGS):
        return
    begin = tokenizer.bos_token if settings.get("add_bos_token", True) else None
    end = tokenizer.eos_token if settings.get("add_eos_token", False) else None
    special = [token for token in (begin, end) if token is not None]
    single, pair = (
        [part for part in (begin, text, end) if part is not None] for text in ("$A", "$B")
    )
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=[f"{part}:0" for part in single],
        pair=[f"{part}:0" for part in single] + [f"{part}:1" for part in pair],
        special_tokens=[(token, tokenizer.convert_tokens_to_ids(token)) for token in special],
    )


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
