"""The files that an encoder consists of, and errors about missing ones."""

import difflib
import json
import re
from collections.abc import Set
from pathlib import Path

from trainables.config.trial import ModelConfig
from trainables.errors import EncoderError
from trainables.models.embedded import ALIASES
from trainables.models.families import FAMILIES, why_refused

SENTENCE_PIECE_FILES = ("spm.model", "spiece.model", "sentencepiece.bpe.model")
"""Names of a SentencePiece model."""

TOKENIZER_FILES = (
    {"tokenizer.json"},
    {"vocab.txt"},
    {"vocab.json", "merges.txt"},
    *({name} for name in SENTENCE_PIECE_FILES),
)
"""Sets of files, any one of which is enough for a tokenizer."""

SMALL_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    *SENTENCE_PIECE_FILES,
    "entity_vocab.json",
)
"""All files of an encoder but its weights."""

_SHARD = re.compile(r"model-\d{5}-of-(\d{5})\.safetensors")
_PICKLED_SHARD = re.compile(r"pytorch_model-\d{5}-of-(\d{5})\.bin")


def encoder_error(model: ModelConfig, key: str, text: str) -> EncoderError:
    """An error that begins with a key of the model's configuration and its value."""
    return EncoderError(f"{key}={getattr(model, key)}: {text}")


def did_you_mean(value: str) -> str:
    """``; did you mean ALIAS?`` for an encoder name close to an alias, else an empty string."""
    matches = [] if value in ALIASES else difflib.get_close_matches(value.lower(), ALIASES, n=1)
    return f"; did you mean {matches[0]}?" if matches else ""


def file_names(folder: Path) -> set[str]:
    """Names of the files (not the folders) in ``folder``."""
    return {path.name for path in folder.iterdir() if path.is_file()}


def refused_type(folder: Path) -> str | None:
    """Why the type of the model in ``folder`` cannot be used; None if it can, or is not known.

    To be said before what else is wrong with its files, such as that it has no tokenizer.
    """
    try:
        kind = json.loads((folder / "config.json").read_bytes())["model_type"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None
    return why_refused(kind) if isinstance(kind, str) and kind not in FAMILIES else None


def missing_files(encoder: str, names: Set[str], *, weights: bool) -> str | None:
    """What is missing among the files of an encoder; None if nothing is.

    Args:
        encoder: the folder or the Hub model that they are of.
        names: names of the files.
        weights: whether the encoder needs weights.

    Returns:
        The end of a sentence that begins with the encoder's name.
    """
    if "config.json" not in names:
        return "has no config.json, so it is no transformers model"
    if not any(files <= names for files in TOKENIZER_FILES):
        return "has no tokenizer (tokenizer.json); save one there with tokenizer.save_pretrained"
    if not weights or weight_files(names):
        return None
    if pickled_files(names):
        return (
            "has weights, but not as safetensors, and other formats can run code; write a safe "
            f"copy with: python -m orchestrator convert {encoder} NEW_FOLDER, and use that"
        )
    if any(name.endswith((".bin", ".h5", ".msgpack", ".ckpt")) for name in names):
        return (
            "has weights, but not as safetensors, and other formats can run code; choose a "
            "revision that has model.safetensors"
        )
    return "has no complete weights (model.safetensors); set weights to random or add them"


def weight_files(names: Set[str]) -> list[str]:
    """The safetensors files with the weights, in order; empty if one of them is missing."""
    shards = _shards(names, _SHARD) if "model.safetensors.index.json" in names else []
    return ["model.safetensors"] if "model.safetensors" in names else shards


def pickled_files(names: Set[str]) -> list[str]:
    """The pickled files with the weights, in order; empty if one of them is missing."""
    return ["pytorch_model.bin"] if "pytorch_model.bin" in names else _shards(names, _PICKLED_SHARD)


def _shards(names: Set[str], pattern: re.Pattern[str]) -> list[str]:
    """The files whose names match ``pattern``; empty if there are not as many as they say."""
    shards = sorted(name for name in names if pattern.fullmatch(name))
    complete = all(
        int(match[1]) == len(shards) for match in map(pattern.fullmatch, shards) if match
    )
    return shards if complete else []
