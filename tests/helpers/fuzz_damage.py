"""What can happen to the bytes of a file, and to a file itself."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

Damage = Callable[[Random, bytes], bytes]

NASTY = (
    b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\r", b"\r\n", b"\n", b"\t",
    b"\xe2\x80\xa8", b"\xc2\x85", b'"', b"'", b"${", b"${x}", b"${name}", b"${oc.env:HOME}", b"&a ",
    b"*a", b"<<: *a", b"!!binary ", b"!!python/object:os.system ", b"!x ", b"---\n", b"...\n",
    b"%YAML 9\n", b"? ", b"- ", b": ", b"{", b"}", b"[", b"]", b",", b"|", b">", b"#", b"???",
    b"null", b"true", b"1e400", b"-1", b"0", b"NaN", b"Infinity", b".inf", b"9" * 400, b"9" * 5000,
    b"2020-01-01", b"1:30", b"0x1F", b"1_000", b"[" * 3000, b"{" * 3000, b"x" * 70_000,
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2**31, 2**63, 2**64, 10**400, 0.5, 1e308, float("nan"),
    float("inf"), "", " ", "\0", "x", "\ud800", "../../x", "x" * 10_000, [], {}, [[]], [None],
    {"": None}, [1, "a", None], {"strategy": "single_task"},
)  # fmt: skip
"""What may stand in a JSON document in place of anything else."""


def _flip(random: Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 8))):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _digit(random: Random, content: bytes) -> bytes:
    places = [i for i, byte in enumerate(content) if chr(byte).isdigit()]
    if not places:
        return _flip(random, content)
    place = random.choice(places)
    return content[:place] + str(random.randrange(10)).encode() + content[place + 1 :]


def _truncate(random: Random, content: bytes) -> bytes:
    return content[: random.randrange(len(content))]


def _cut(random: Random, content: bytes) -> bytes:
    start, end = sorted(random.randrange(len(content)) for _ in range(2))
    return content[:start] + content[end:]


def _insert(random: Random, content: bytes) -> bytes:
    place = random.randrange(len(content) + 1)
    return content[:place] + random.choice(NASTY) + content[place:]


def _overwrite(random: Random, content: bytes) -> bytes:
    place = random.randrange(len(content))
    piece = random.choice(NASTY)
    return content[:place] + piece + content[place + len(piece) :]


def _lines(random: Random, content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    i, j = (random.randrange(len(lines)) for _ in range(2))
    change = random.randrange(5)
    if change == 0:
        del lines[i]
    elif change == 1:
        lines.insert(i, lines[j])
    elif change == 2:
        lines[i], lines[j] = lines[j], lines[i]
    elif change == 3:
        lines[i] = random.choice((b"\t", b" ", b"  ")) + lines[i]
    else:
        lines[i] = lines[i].replace(b": ", random.choice((b":", b" : ", b": &a ", b": !!str ")), 1)
    return b"".join(lines)


def _whole(random: Random, content: bytes) -> bytes:
    whole = (b"", b"\n", b" ", b"\xef\xbb\xbf" + content, content * 2, content[::-1])
    encodings = [content.decode("utf-8", "replace").encode(e) for e in ("utf-16", "utf-32")]
    return random.choice((*whole, *encodings, content.replace(b"\n", b"\r")))


BYTES: tuple[Damage, ...] = (
    _flip, _digit, _truncate, _cut, _insert, _overwrite, _lines, _lines, _whole,
)  # fmt: skip


def damaged(random: Random, content: bytes) -> bytes:
    """The content after one to three changes of its bytes or lines."""
    for _ in range(random.choice((1, 1, 2, 3))):
        content = random.choice(BYTES)(random, content) if content else random.choice(NASTY)
    return content


def damaged_json(random: Random, content: bytes) -> bytes:
    """A JSON document that is still one: a value replaced, a key lost, renamed or added."""
    document = json.loads(content)
    for _ in range(random.choice((1, 1, 2))):
        nodes = [node for node in _nodes(document) if node]
        node = random.choice(nodes)
        key = random.choice(list(node) if isinstance(node, dict) else range(len(node)))
        change = random.randrange(4)
        if change == 0:
            del node[key]
        elif change == 1 and isinstance(node, dict):
            node[random.choice(("", "x", "key", str(key) + "x"))] = node.pop(key)
        else:
            node[key] = random.choice(VALUES)
        if not document:
            break
    return json.dumps(document).encode("utf-8", "surrogatepass")


def _nodes(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [value, *(node for part in value.values() for node in _nodes(part))]
    if isinstance(value, list):
        return [value, *(node for part in value for node in _nodes(part))]
    return []


def _missing(path: Path) -> None:
    """Leave nothing there."""


REPLACED: dict[str, Callable[[Path], object]] = {
    "missing": _missing,
    "folder": Path.mkdir,
    "pipe": os.mkfifo,
    "link to itself": lambda path: path.symlink_to(path.name),
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "link to nothing": lambda path: path.symlink_to("nowhere"),
}
"""What is no regular file; each is made where nothing is."""


def replace(path: Path, kind: str) -> None:
    """One of ``REPLACED`` in the place of a file."""
    remove(path)
    REPLACED[kind](path)


def remove(path: Path) -> None:
    """Whatever is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
