"""A live view as one line of a log, for whoever follows the log on a terminal elsewhere."""

import base64
import binascii
import gzip
import io
import os
import re
import zlib
from contextlib import suppress

from rich.console import Console, RenderableType
from rich.text import Text

SECONDS = "ONE_OR_MANY_PICTURE_SECONDS"
"""Environment variable that asks for snapshots in a log: seconds between two of them."""

WIDTH, HEIGHT = 80, 24
"""Of every snapshot: a terminal that is smaller shows its lines cut."""

LARGEST = 1 << 16
"""Characters that a snapshot may have."""

_BEGIN, _END = "-----LIVE ", "-----"
_STYLES = re.compile(r"(\x1b\[[0-9;]*m)")


def snapshot_interval() -> float | None:
    """Seconds between two snapshots in this process's log; None for no snapshots."""
    with suppress(ValueError):
        return max(1.0, float(os.environ.get(SECONDS, "")))
    return None


def snapshot_line(view: RenderableType) -> str:
    """``view`` as a terminal would show it, packed into one line without a line end."""
    file = io.StringIO()
    console = Console(
        file=file, force_terminal=True, color_system="standard", width=WIDTH, height=HEIGHT
    )
    console.print(view)
    data = gzip.compress(file.getvalue().encode(), mtime=0)
    return f"{_BEGIN}{base64.b64encode(data).decode('ascii')}{_END}"


def is_snapshot(line: str) -> bool:
    """Whether a line of a log is a snapshot, or the beginning of one."""
    return line.startswith(_BEGIN)


def read_snapshot(line: str) -> Text | None:
    """The view that ``snapshot_line`` was given; None if the line was cut or changed.

    It is text and styles alone: nothing in it moves the cursor or rings a bell.
    """
    if not (is_snapshot(line) and line.endswith(_END)):
        return None
    try:
        data = base64.b64decode(line.removeprefix(_BEGIN).removesuffix(_END), validate=True)
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            drawn = file.read(4 * LARGEST).decode()
    except (binascii.Error, zlib.error, OSError, EOFError, ValueError):
        return None
    parts = _STYLES.split(drawn[:LARGEST])
    safe = "".join(
        part if index % 2 else "".join(c for c in part if c.isprintable() or c == "\n")
        for index, part in enumerate(parts)
    )
    return Text.from_ansi(safe.rstrip("\n"), no_wrap=True, overflow="crop")
