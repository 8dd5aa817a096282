"""From what a user writes under ``encoder`` to a folder of files on this machine.

Whatever the origin, everything later reads a plain local folder: no library asks the Hub again.
"""

import difflib
import re
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from trainables.config.trial import ModelConfig
from trainables.errors import EncoderError
from trainables.models.embedded import ALIASES, check_embedded, embedded_folder

TOKENIZER_FILES = (
    {"tokenizer.json"},
    {"vocab.txt"},
    {"vocab.json", "merges.txt"},
    {"spm.model"},
    {"spiece.model"},
    {"sentencepiece.bpe.model"},
)
"""Sets of files, any of which makes a tokenizer."""

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_SHARD = re.compile(r"model-\d{5}-of-(\d{5})\.safetensors")


@dataclass(frozen=True)
class Source:
    """Files of one encoder.

    Attributes:
        folder: where its files lie; the weights may still be missing if only a check is made.
        origin: one phrase for humans, for example ``Hub bert-base-uncased``.
        repository: its name on the Hub, ``None`` for a local one.
    """

    folder: Path
    origin: str
    repository: str | None = None


def problem(model: ModelConfig, key: str, text: str) -> EncoderError:
    """An error that names a key of the model's configuration and its value."""
    return EncoderError(f"{key}={getattr(model, key)}: {text}")


def locate(model: ModelConfig, *, download_weights: bool) -> Source:
    """Find the files of an encoder, downloading what is missing from the Hub.

    Args:
        model: its configuration; an alias goes before a folder of that name, and a folder
            before a Hub name.
        download_weights: also fetch the weights of a Hub model, which may be large. Whether it
            has any is checked in both cases.

    Raises:
        EncoderError: nothing is found, the Hub cannot be reached, files are missing, or the
            checksum of an embedded model differs.
    """
    weights = model.weights == "pretrained"
    repository = model.encoder
    if model.encoder in ALIASES:
        package = ALIASES[model.encoder]
        folder = embedded_folder(model.encoder)
        if folder is not None:
            _no_revision(model, f"the package {package.distribution} has none")
            check_embedded(model.encoder, folder)
            return Source(folder, f"embedded package {package.distribution}")
        repository = package.hub
    else:
        folder = Path(model.encoder).expanduser()
        if folder.is_dir():
            _no_revision(model, "a folder has none")
            if reason := lacking(file_names(folder), weights=weights):
                raise problem(model, "encoder", f"the folder {reason}")
            return Source(folder, f"folder {model.encoder}")
        if folder.exists():
            raise problem(model, "encoder", "is a file; give the folder that holds config.json")
        if not _HUB_NAME.fullmatch(model.encoder):
            raise problem(
                model,
                "encoder",
                f"there is no such folder; use {' or '.join(ALIASES)}, a Hub name or an existing "
                f"folder{did_you_mean(model.encoder)}",
            )

    from trainables.models.hub import fetch

    folder = fetch(model, repository, weights=weights, download_weights=download_weights)
    return Source(folder, f"Hub {repository}", repository)


def _no_revision(model: ModelConfig, why: str) -> None:
    if model.revision is not None:
        raise problem(model, "revision", f"only a Hub model has revisions, {why}; leave it out")


def did_you_mean(value: str) -> str:
    """The nearest alias as the end of a message about an unknown encoder, or nothing."""
    matches = [] if value in ALIASES else difflib.get_close_matches(value.lower(), ALIASES, n=1)
    return f"; did you mean {matches[0]}?" if matches else ""


def file_names(folder: Path) -> set[str]:
    """Names of the files (not the folders) in ``folder``."""
    return {path.name for path in folder.iterdir() if path.is_file()}


def lacking(names: Set[str], *, weights: bool) -> str | None:
    """What a set of file names lacks to be an encoder, as the end of a sentence, or ``None``."""
    if "config.json" not in names:
        return "has no config.json, so it is no transformers model"
    if not any(files <= names for files in TOKENIZER_FILES):
        return "has no tokenizer (tokenizer.json); save one there with tokenizer.save_pretrained"
    if not weights or weight_files(names):
        return None
    if any(name.endswith((".bin", ".h5", ".msgpack", ".ckpt")) for name in names):
        return (
            "has weights, but not as safetensors, and other formats can run code; convert them "
            "with model.save_pretrained or choose a revision that has model.safetensors"
        )
    return "has no complete weights (model.safetensors); set weights to random or add them"


def weight_files(names: Set[str]) -> list[str]:
    """The safetensors files that hold the weights, in order; empty if one of them is missing."""
    if "model.safetensors" in names:
        return ["model.safetensors"]
    shards = sorted(name for name in names if _SHARD.fullmatch(name))
    complete = shards and all(
        int(match[1]) == len(shards) for match in map(_SHARD.fullmatch, shards) if match
    )
    return shards if complete and "model.safetensors.index.json" in names else []
