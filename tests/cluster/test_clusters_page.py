"""The commands that the README and docs/clusters.md tell users are such that exist."""

import re
import shlex
from pathlib import Path

import pytest

from orchestrator.submit.package import load, make_request
from tests.conftest import PROJECT

PAGES = ("README.md", "docs/clusters.md")


def commands(name: str) -> list[list[str]]:
    """The words of every shell command of a page's blocks of code."""
    text = (PROJECT / name).read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if "$(" not in line]


def values(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Options with their values, and the other words."""
    options: dict[str, str] = {}
    others = []
    rest = iter(words)
    for word in rest:
        if word.startswith("--"):
            options[word] = next(rest)
        else:
            others.append(word)
    return options, others


@pytest.mark.parametrize("page", PAGES)
def test_submit_takes_what_the_page_says(page: str) -> None:
    found = [c for c in commands(page) if c[:4] == ["python", "-m", "orchestrator", "submit"]]
    assert found
    for command in found:
        options, (preset, *overrides) = values(command[4:])
        assert options["--address"] == "http://127.0.0.1:8265"
        space = options.get("--tune")
        experiment = load(preset, space, overrides)
        make_request(experiment, preset, overrides, space, options.get("--run-dir"), command)


def test_slurm_takes_what_the_page_says() -> None:
    found = [c for c in commands("docs/clusters.md") if c[:1] == ["sbatch"]]
    assert len(found) == 3
    for command in found:
        script, *words = [word for word in command[1:] if not word.startswith("--")]
        assert (PROJECT / script).is_file()
        if words[0] == "tune":
            load(words[1], words[2], words[3:])
        else:
            load(words[0], None, words[1:])


@pytest.mark.parametrize("page", PAGES)
def test_the_files_that_the_page_names_are_there(page: str) -> None:
    text = (PROJECT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w/])cluster/[\w.-]+\w", text))
    assert not [name for name in named if not Path(PROJECT, name).exists()]
