"""Keeps an encoder and tokenizer in memory for the next trials of the same process.

A process of Ray Tune and the local executor run many trials, most of which start from the same
files. One encoder and one tokenizer are kept, as long as their files are the same. That takes the
host memory of the encoder's weights in single precision, in each process.
"""

import copy
import json
from functools import lru_cache

from transformers import PreTrainedTokenizerBase

from trainables.config.trial import ModelConfig
from trainables.data.fact_cache import files_identity
from trainables.models.encoder import Encoder, load_encoder, load_tokenizer
from trainables.models.source import locate

LARGEST = 10**9
"""Bytes of weights up to which an encoder is kept; training a larger one takes far longer."""


def encoder_of(model: ModelConfig, seed: int) -> Encoder:
    """``load_encoder``; pretrained weights are copied from those of the last trial that had them.

    The copy is the trial's own: what is kept is never trained.

    Raises:
        EncoderError: see ``load_encoder``.
    """
    files = files_of(model)
    if files is None or model.weights == "random" or _weights_size(model) > LARGEST:
        return load_encoder(model, seed)
    return copy.deepcopy(_encoder(model.model_dump_json(), files))


def tokenizer_of(model: ModelConfig, files: str | None) -> PreTrainedTokenizerBase:
    """``load_tokenizer``; it is the same object for trials with the same ``files_of``.

    Raises:
        EncoderError: see ``load_tokenizer``.
    """
    return load_tokenizer(model) if files is None else _tokenizer(model.model_dump_json(), files)


def files_of(model: ModelConfig) -> str | None:
    """What changes when a file of an encoder does; None if one has just changed.

    Raises:
        EncoderError: there is no such encoder.
    """
    folder = locate(model, download_weights=True).folder
    identity = files_identity(path for path in folder.iterdir() if path.is_file())
    return None if identity is None else json.dumps(identity)


def _weights_size(model: ModelConfig) -> int:
    folder = locate(model, download_weights=True).folder
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


@lru_cache(maxsize=1)
def _encoder(model: str, files: str) -> Encoder:
    # No weight depends on the seed where all are pretrained.
    return load_encoder(ModelConfig.model_validate_json(model), seed=0)


@lru_cache(maxsize=1)
def _tokenizer(model: str, files: str) -> PreTrainedTokenizerBase:
    return load_tokenizer(ModelConfig.model_validate_json(model))
