"""Reads data files, decoding text strictly: errors name the file, the line and the key."""

from pathlib import Path

from trainables.atomic import read_whole
from trainables.errors import DataError


def read_text(path: Path, key: str) -> str:
    """Read a file as UTF-8 text, without its byte-order mark.

    Args:
        path: the file.
        key: the configuration key that names it, for messages.

    Raises:
        DataError: the file is missing, unreadable, empty, not UTF-8 or holds a NUL byte.
    """
    content = read_bytes(path, key)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}:1: the file is UTF-16 ({key}); save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # With "utf-8-sig" the position is counted from after the mark.
        start = error.start + len(content) - len(error.object)
        raise DataError(
            f"{path}:{_line(content, start)}: byte 0x{content[start]:02x} is not UTF-8 ({key}); "
            "save the file as UTF-8"
        ) from error
    if (position := content.find(b"\0")) >= 0:
        raise DataError(
            f"{path}:{_line(content, position)}: NUL byte ({key}); this is no text file"
        )
    if not text.strip():
        raise DataError(f"{path}: the file is empty ({key})")
    return text


def read_bytes(path: Path, key: str) -> bytes:
    """Read a file as bytes.

    Raises:
        DataError: the file is missing, unreadable or not a regular file.
    """
    try:
        return read_whole(path)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file ({key})") from error
    except IsADirectoryError as error:
        raise DataError(f"{path}: this is a folder, not a file ({key})") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read: {reason} ({key})") from error


def _line(content: bytes, position: int) -> int:
    return content.count(b"\n", 0, position) + 1
