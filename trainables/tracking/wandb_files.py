"""What an offline run of W&B has on the disk: LevelDB's log format behind a header."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HEADER, BLOCK, CHUNK_HEADER = 7, 32768, 7
"""Bytes."""

WHOLE, LAST = 1, 4
"""Kinds of chunks that end a record."""


def records_in(path: Path) -> Iterator[Any]:
    """W&B's records (protocol buffers), up to the first one that was not written whole."""
    from google.protobuf.message import DecodeError
    from wandb.proto import wandb_internal_pb2

    # The module makes its classes when it is imported; a type checker sees none.
    parse = vars(wandb_internal_pb2)["Record"].FromString
    for content in _contents(path.read_bytes()):
        try:
            yield parse(content)
        except DecodeError:
            return


def _contents(content: bytes) -> Iterator[bytes]:
    position, begun = HEADER, b""
    while position + CHUNK_HEADER <= len(content):
        left = BLOCK - position % BLOCK
        if left < CHUNK_HEADER:
            position += left
            continue
        _, size, kind = struct.unpack_from("<IHB", content, position)
        position += CHUNK_HEADER
        if kind == 0 or position + size > len(content):
            return
        begun += content[position : position + size]
        position += size
        if kind in (WHOLE, LAST):
            yield begun
            begun = b""


def steps_in(path: Path) -> set[int]:
    """Steps whose numbers an offline run has."""
    found = records_in(path)
    return {one.history.step.num for one in found if one.WhichOneof("record_type") == "history"}
