"""Finds the files of an encoder: an embedded package, a local folder or the Hub.

Whatever the source, everything else reads a plain local folder; no library asks the Hub again.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from trainables.config.trial import ModelConfig
from trainables.models.embedded import ALIASES, check_embedded, embedded_folder
from trainables.models.files import (
    did_you_mean,
    encoder_error,
    file_names,
    missing_files,
    refused_type,
)
from trainables.models.hub import fetch

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True)
class Source:
    """The files of an encoder.

    Attributes:
        folder: folder of the files; without the weights of a Hub model unless they were asked for.
        origin: the source for humans, for example ``Hub bert-base-uncased``.
        repository: name on the Hub; None for a local encoder.
    """

    folder: Path
    origin: str
    repository: str | None = None


def locate(model: ModelConfig, *, download_weights: bool) -> Source:
    """Find the files of an encoder, downloading what is missing from the Hub.

    Args:
        model: the encoder's configuration. An alias takes precedence over a folder of that name,
            and a folder over a Hub name.
        download_weights: also download the weights of a Hub model, which may be large. That they
            exist is checked in any case.

    Raises:
        EncoderError: there is no such encoder, the Hub cannot be reached, files are missing, or
            the checksum of an embedded model differs.
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
            if reason := missing_files(model.encoder, file_names(folder), weights=weights):
                raise encoder_error(
                    model, "encoder", refused_type(folder) or f"the folder {reason}"
                )
            return Source(folder, f"folder {model.encoder}")
        if folder.exists():
            raise encoder_error(
                model, "encoder", "is a file; give the folder that holds config.json"
            )
        if not _HUB_NAME.fullmatch(model.encoder):
            raise encoder_error(
                model,
                "encoder",
                f"there is no such folder; use {' or '.join(ALIASES)}, a Hub name or an existing "
                f"folder{did_you_mean(model.encoder)}",
            )

    folder = fetch(model, repository, weights=weights, download_weights=download_weights)
    return Source(folder, f"Hub {repository}", repository)


def local_folder(model: ModelConfig) -> Path | None:
    """The folder of an encoder that is embedded or a folder; None: it is on the Hub."""
    if model.encoder in ALIASES:
        return embedded_folder(model.encoder)
    folder = Path(model.encoder).expanduser()
    return folder if folder.is_dir() else None


def _no_revision(model: ModelConfig, why: str) -> None:
    """Raise ``EncoderError`` if ``model`` asks for a revision."""
    if model.revision is not None:
        raise encoder_error(
            model, "revision", f"only a Hub model has revisions, {why}; leave it out"
        )
