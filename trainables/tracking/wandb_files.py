"""Reads W&B's offline run files: LevelDB's log format after a header."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HEADER, BLOCK, CHUNK_HEADER = 7, 32768, 7
"""Sizes in bytes."""

WHOLE, LAST = 1, 4
"""Chunk types that end a record."""


def records_in(path: Path) -> Iterator[Any]:
    """W&B's records (protocol buffers), up to the first incomplete one."""
    from google.protobuf.message import DecodeError
    from wandb.proto import wandb_internal_pb2

    # The module creates its classes on import, which a type checker cannot see.
    parse = vars(wandb_internal_pb2)["Record"].FromString
    for content in _contents(path.read_bytes()):
        try:
            yield parse(content)
        except DecodeError:
            return


def _contents(content: bytes) -> Iterator[bytes]:
    """The complete records in the content of a file, joined from their chunks."""
    position, record = HEADER, b""
    while position + CHUNK_HEADER <= len(content):
        rest_of_block = BLOCK - position % BLOCK
        if rest_of_block < CHUNK_HEADER:
            position += rest_of_block
            continue
        _, size, kind = struct.unpack_from("<IHB", content, position)
        position += CHUNK_HEADER
        if kind == 0 or position + size > len(content):
            return
        record += content[position : position + size]
        position += size
        if kind in (WHOLE, LAST):
            yield record
            record = b""


def steps_in(path: Path) -> set[int]:
    """The steps that an offline run has logged."""
    return {
        record.history.step.num
        for record in records_in(path)
        if record.WhichOneof("record_type") == "history"
    }
