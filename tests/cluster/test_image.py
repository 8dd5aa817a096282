"""The image's Dockerfile."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT

FILE = PROJECT / "cluster" / "Dockerfile"


@pytest.fixture
def text() -> str:
    return FILE.read_text(encoding="utf-8")


def test_it_is_well_written() -> None:
    hadolint = Path(sys.prefix) / "bin" / "hadolint"
    done = subprocess.run([hadolint, "--no-color", FILE], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_is_pinned_and_runs_nothing_as_root(text: str) -> None:
    assert re.findall(r"^FROM (\S+)$", text, re.MULTILINE) == ["python:3.11.14-slim-bookworm"]
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["1000:1000"]
    assert text.index("USER 1000") < text.index("\nCMD ")
    assert "pip install --requirement requirements.txt" in text
    assert "pip check" in text


def test_what_it_copies_is_there_and_let_through(text: str) -> None:
    ignored = (FILE.parent / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    copied = [
        name for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE) for name in line.split()
    ]
    project = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    assert set(re.findall(r'file = \["(.+)"\]', project)) <= set(copied)
    for name in copied:
        assert (PROJECT / name).exists()
        assert f"!{name}" in ignored.splitlines()
    allowed = [line[1:] for line in ignored.splitlines() if line.startswith("!")]
    assert sorted(allowed) == sorted(copied)
