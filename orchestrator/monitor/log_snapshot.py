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
"""Variable that asks a log for pictures: seconds between two of them."""

WIDTH, HEIGHT = 80, 24
"""Of every picture: a terminal that is smaller shows its lines cut."""

LARGEST = 1 << 16
"""Characters that a picture may have."""

_BEGIN, _END = "-----LIVE ", "-----"
_STYLES = re.compile(r"(\x1b\[[0-9;]*m)")


def asked_for() -> float | None:
    """Seconds between two pictures; none: the log is read by humans alone."""
    with suppress(ValueError):
        return max(1.0, float(os.environ.get(SECONDS, "")))
    return None


def line_of(view: RenderableType) -> str:
    """``view`` as it would stand on a terminal, as one line without a line end."""
    file = io.StringIO()
    console = Console(
        file=file, force_terminal=True, color_system="standard", width=WIDTH, height=HEIGHT
    )
    console.print(view)
    data = gzip.compress(file.getvalue().encode(), mtime=0)
    return f"{_BEGIN}{base64.b64encode(data).decode('ascii')}{_END}"


def is_picture(line: str) -> bool:
    """Whether a line of a log is none for humans."""
    return line.startswith(_BEGIN)


def picture_in(line: str) -> Text | None:
    """What ``line_of`` was given, to be drawn; none: the line was cut or changed.

    Nothing but text and its styles is taken from it: it moves no cursor and rings no bell.
    """
    if not (is_picture(line) and line.endswith(_END)):
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
