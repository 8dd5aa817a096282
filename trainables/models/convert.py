"""Writes a copy of an encoder whose weights are pickled as one with safetensors.

Repositories from before 2023 often have nothing but ``pytorch_model.bin``, and a pickle can run any
code when it is read. So training reads safetensors only, and this is done once, on demand, with
``torch.load(weights_only=True)``, which builds tensors and plain containers and nothing else.
"""

import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

from trainables.atomic import sync_folder
from trainables.config.trial import ModelConfig
from trainables.errors import EncoderError
from trainables.models.files import SMALL_FILES, file_names, pickled_files, weight_files
from trainables.models.hub import fetch_pickled

WEIGHTS = "model.safetensors"


def convert(encoder: str, folder: Path, revision: str | None = None) -> None:
    """Write ``encoder`` into ``folder``, its weights as safetensors.

    Args:
        encoder: a folder, or the name of a Hub model, which is downloaded.
        folder: the folder to write; must not exist.
        revision: of a Hub model.

    Raises:
        EncoderError: there is no such encoder, it has no pickled weights or has safetensors, its
            weights hold objects that could run code, or ``folder`` exists.
    """
    if folder.exists():
        raise EncoderError(f"{folder}: exists already; name a folder that does not")
    source = Path(encoder).expanduser()
    if not source.is_dir():
        source = fetch_pickled(ModelConfig(encoder=encoder, revision=revision), encoder)
    names = file_names(source)
    if weight_files(names):
        raise EncoderError(f"{encoder}: has safetensors already; use it as it is")
    files = pickled_files(names)
    if not files:
        raise EncoderError(f"{encoder}: has no complete pytorch_model.bin to convert")
    tensors: dict[str, torch.Tensor] = {}
    for name in files:
        tensors |= _read(source / name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        save_file(tensors, temporary / WEIGHTS, metadata={"format": "pt"})
        for name in sorted(names.intersection(SMALL_FILES)):
            shutil.copyfile(source / name, temporary / name)
        temporary.chmod(0o755)
        sync_folder(temporary)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _read(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a pickled file by name, each with memory of its own.

    Plain values beside them, such as a configuration in DeBERTa's, are left out.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        if "weights_only" in str(error):
            raise EncoderError(
                f"{path}: holds more than tensors and could run code; it is not read. Get the "
                "weights from a source that you trust, as safetensors"
            ) from error
        reason = " ".join(str(error).split())[:200]
        raise EncoderError(f"{path}: is damaged ({reason}); fetch it again") from error
    values = content.items() if isinstance(content, dict) else ()
    tensors = {str(name): value for name, value in values if isinstance(value, torch.Tensor)}
    if not tensors:
        raise EncoderError(f"{path}: is no mapping of names to tensors, so no model's weights")
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise EncoderError(
                f"{path}: {name} is a sparse, quantised or empty tensor, which safetensors cannot "
                "hold; choose the repository with the full weights"
            )
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
