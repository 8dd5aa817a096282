"""The README's tree names every file, once, and nothing that is not there."""

import re
from pathlib import Path

from tests.conftest import PROJECT

TOP = ("benchmarks", "cluster", "orchestrator", "search_spaces", "trainables")


def tree() -> list[str]:
    """Paths of the files in the README's tree, folders left out."""
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    block = readme.split("## The tree")[1].split("```")[1]
    folders: dict[int, str] = {}
    files = []
    for line in block.strip("\n").splitlines():
        match = re.match(r"( *)(\S+)", line)
        assert match is not None
        depth, name = len(match[1]) // 2, match[2]
        parent = folders.get(depth - 1, "") if depth else ""
        if name.endswith("/"):
            folders[depth] = parent + name
        else:
            files.append(parent + name)
    return files


def test_the_readme_names_every_file_once() -> None:
    there = {
        path.relative_to(PROJECT).as_posix()
        for top in TOP
        for path in (PROJECT / top).rglob("*")
        if path.suffix in (".py", ".yaml", ".j2", ".sh", ".json") or path.name == "Dockerfile"
        if path.name != "__init__.py"
    }
    named = tree()
    assert len(named) == len(set(named))
    assert set(named) == there


def test_no_source_file_is_too_long_to_read() -> None:
    long = {
        path.relative_to(PROJECT).as_posix(): lines
        for top in TOP
        for path in Path(PROJECT / top).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 300
    }
    assert not long
