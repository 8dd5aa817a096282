"""The wheel: everything that the commands need is inside, and works outside the source tree."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import PROJECT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the files that git tracks or would track, built without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in names.splitlines():
        if name.startswith(("orchestrator/", "search_spaces/", "trainables/")) or "/" not in name:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            if (PROJECT / name).is_file():
                (source / name).write_bytes((PROJECT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    build = [*pip, "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    subprocess.run([*build, str(source)], check=True, capture_output=True, text=True, timeout=120)
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """A folder into which the wheel alone is installed."""
    target = wheel.parent / "installed"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    install = [*pip, "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True, text=True, timeout=120)
    return target


def run(installed: Path, folder: Path, *words: str) -> str:
    """Standard output of the installed command, started in a folder outside the source tree."""
    command = installed / "bin" / "one-model-or-many"
    environment = {"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(
        [sys.executable, str(command), *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout


def test_licence_and_metadata_are_inside(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [metadata] = [name for name in names if name.endswith(".dist-info/METADATA")]
        text = archive.read(metadata).decode()
        [licence] = [name for name in names if name.endswith("LICENSE")]
        assert archive.read(licence) == (PROJECT / "LICENSE").read_bytes()
    assert "License-Expression: Apache-2.0" in text
    assert "Requires-Dist: ray[default,tune]" in text
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "tools/"))]


def test_every_data_file_is_inside(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    data = [
        path.relative_to(PROJECT).as_posix()
        for package in ("orchestrator", "search_spaces", "trainables")
        for path in (PROJECT / package).rglob("*")
        if path.is_file() and path.suffix in (".yaml", ".j2")
    ]
    assert len(data) > 15
    assert set(data) <= names


def test_the_command_shows_its_help(installed: Path, tmp_path: Path) -> None:
    assert "submit" in run(installed, tmp_path, "--help")


def test_a_plan_is_made_outside_the_tree(installed: Path, tmp_path: Path) -> None:
    plan = run(installed, tmp_path, "plan", "demo", "--json")
    assert plan.count('"key"') == 20


def test_templates_are_found_outside_the_tree(installed: Path, tmp_path: Path) -> None:
    """Those that the HTML reports are rendered with."""
    script = """
from orchestrator.report.render import templates
for name in templates().list_templates():
    templates().get_template(name)
    print(name)
"""
    found = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(installed), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert set(found) == {
        path.name for path in (PROJECT / "orchestrator" / "report" / "templates").iterdir()
    }
