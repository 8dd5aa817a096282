"""What may happen to a file or folder while nobody looks."""

import shutil
from collections.abc import Callable
from pathlib import Path

from trainables.training.checkpoint import checkpoints


def truncate(path: Path) -> None:
    """Keep the first half, as a full disk or a crash of the machine would."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    """Keep the name alone."""
    path.write_bytes(b"")


def flip(path: Path) -> None:
    """Turn over one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def scribble(path: Path) -> None:
    """Put something else in its place."""
    path.write_bytes(bytes(range(256)) * 8)


CHECKPOINT_DAMAGES: dict[str, Callable[[list[Path]], object]] = {
    "newest truncated": lambda kept: truncate(kept[0] / "model.safetensors"),
    "newest bit-flipped, older emptied": lambda kept: (
        flip(kept[0] / "parts.pt"),
        empty(kept[1] / "manifest.json"),
    ),
    "newest without a file": lambda kept: (kept[0] / "state.json").unlink(),
    "newest gone": lambda kept: shutil.rmtree(kept[0]),
    "newest emptied": lambda kept: empty(kept[0] / "model.safetensors"),
    "all bit-flipped": lambda kept: (
        flip(kept[0] / "state.json"),
        flip(kept[1] / "model.safetensors"),
    ),
}
"""Each is done to a trial's checkpoints, the newest first, of which there are two."""

RECORD_DAMAGES: dict[str, Callable[[Path], None]] = {
    "half": truncate,
    "empty": empty,
    "garbage": scribble,
}


def damage_checkpoints(folder: Path, name: str) -> None:
    """Do one of ``CHECKPOINT_DAMAGES`` to the checkpoints in ``folder``."""
    kept = checkpoints(folder)
    assert len(kept) == 2
    CHECKPOINT_DAMAGES[name](kept)
