"""Checks the encoders of a plan, and counts the texts that are too long for them.

What is found out is kept in the token cache while the files of encoder and data stay the same: a
second plan then does without torch and transformers, whose import takes longer than all else.
"""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from orchestrator.config.experiment import ExperimentConfig, SingleTrialConfig
from trainables import models
from trainables.config.trial import ModelConfig
from trainables.data.fact_cache import code_identity, files_identity, remembered
from trainables.data.outline import TaskSource
from trainables.errors import EncoderError
from trainables.models.embedded import ALIASES, embedded_folder
from trainables.models.encoder_info import EncoderInfo

_CODE = Path(models.__file__).parent
_LIBRARIES = ("peft", "tokenizers", "transformers")


def check_model(
    config: ExperimentConfig | SingleTrialConfig, key: str, name: str, root: Path
) -> EncoderInfo:
    """Check the encoder called ``name`` under ``key``; what is found out is kept in ``root``.

    Raises:
        EncoderError: it cannot be trained; names the key that the user wrote.
    """
    model = config.model_config_of(name)

    def check() -> dict[str, Any]:
        from trainables.models.encoder import check_encoder

        try:
            return check_encoder(model, name).model_dump(mode="json")
        except EncoderError as error:
            # A name without a definition stands for its own encoder.
            own = f"define.models.{name}.encoder="
            if name in config.define.models or not str(error).startswith(own):
                raise
            raise EncoderError(f"{key}: {str(error).removeprefix(own)}") from error

    identity = _identity(model)
    about = identity and ["encoder", identity, model.model_dump(mode="json")]
    return EncoderInfo.model_validate(remembered(root, about, check))


def cut_texts(model: ModelConfig, sources: Mapping[str, TaskSource]) -> dict[str, dict[str, int]]:
    """Count the texts that are longer than a model's ``max_length``: task -> split -> examples.

    Those of the whole splits, without the prefix of ``task_prefix``.

    Raises:
        InputError: the data or the tokenizer cannot be used.
    """
    return {task: _cut(source, model) for task, source in sources.items()}


def _cut(source: TaskSource, model: ModelConfig) -> dict[str, int]:
    identity = _identity(model) or _tokenizer_identity(model)

    def count() -> dict[str, int]:
        from trainables.data.tokens import count_longer
        from trainables.models.encoder import load_tokenizer

        tokenizer = load_tokenizer(model)
        return {
            split: count_longer(examples, tokenizer, model.max_length)
            for split, examples in source.raw.splits.items()
        }

    about = ["cut", identity, source.content, model.max_length]
    return remembered(source.root, about, count)


def _identity(model: ModelConfig) -> list[Any] | None:
    """What changes when the encoder's files or the code do; None if it comes from the Hub."""
    embedded = embedded_folder(model.encoder) if model.encoder in ALIASES else None
    folder = embedded or Path(model.encoder).expanduser()
    if not folder.is_dir():
        return None
    files = files_identity(path for path in folder.iterdir() if path.is_file())
    return files and [files, code_identity(_CODE), *map(version, _LIBRARIES)]


def _tokenizer_identity(model: ModelConfig) -> str:
    from trainables.data.tokens import tokenizer_fingerprint
    from trainables.models.encoder import load_tokenizer

    return tokenizer_fingerprint(load_tokenizer(model))
