"""What ``convert`` does: an encoder whose weights are pickled, written anew as safetensors."""

from pathlib import Path

from trainables.config.trial import ModelConfig
from trainables.models.convert import convert
from trainables.models.encoder import EncoderInfo, check_encoder


def convert_encoder(encoder: str, folder: Path, revision: str | None = None) -> EncoderInfo:
    """Convert ``encoder`` into ``folder``, and check what was written.

    Raises:
        EncoderError: see ``convert``; or the copy is none that can be trained, which is then left
            for a look.
    """
    convert(encoder, folder, revision)
    return check_encoder(ModelConfig(encoder=str(folder), max_length=8), folder.name)
