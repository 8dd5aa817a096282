"""The documentation: short README, current generated pages, links and commands that hold."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from orchestrator.cli.app import app
from orchestrator.commands.report import Outcome
from orchestrator.config.experiment import load_experiment, load_single_trial
from orchestrator.config.search import load_tuned_experiment
from tests.conftest import PROJECT
from tools.generate_docs import PACKAGES, pages

README = PROJECT / "README.md"
PAGES = sorted((PROJECT / "docs").glob("*.md"))
TEXTS = [README, *PAGES, *(PROJECT / name for name in ("CONTRIBUTING.md", "SECURITY.md"))]


def links(page: Path) -> list[str]:
    """Targets of a page's links to files, code blocks left out."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [
        target
        for target in re.findall(r"\]\(([^)\s]+)\)", text)
        if not target.startswith(("http://", "https://"))
    ]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), flags=re.MULTILINE)
    return {
        re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


def test_the_readme_has_at_most_200_lines() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 200


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in links(page):
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path), target


def test_every_page_is_reached_from_the_index() -> None:
    reached, waiting = set(), [PROJECT / "docs" / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        targets = [(page.parent / link.partition("#")[0]).resolve() for link in links(page)]
        waiting += [target for target in targets if target.suffix == ".md"]
    assert reached >= set(PAGES)


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_generated_pages_are_current(path: Path) -> None:
    assert path.read_text("utf-8") == pages()[path], "`make docs` writes it anew"


def test_every_module_says_what_it_is() -> None:
    """The map of files has a line for each."""
    rows = (PROJECT / "docs" / "architecture.md").read_text("utf-8").splitlines()
    assert not [row for row in rows if re.fullmatch(r"\| `\w+\.py` \| *\|", row)]
    assert len([row for row in rows if re.match(r"\| `\w+\.py` \|", row)]) == sum(
        path.name != "__init__.py" for top in PACKAGES for path in (PROJECT / top).rglob("*.py")
    )


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    tops = "benchmarks|cluster|orchestrator|search_spaces|tests|tools|trainables"
    paths = set(re.findall(rf"(?<![\w/.-])((?:{tops})/[\w./-]*\w)", text))
    assert not [path for path in paths if not (PROJECT / path).exists()]
    tests = set(re.findall(r"(?<![\w/])(test_\w+\.py)", text))
    assert not [name for name in tests if not list((PROJECT / "tests").rglob(name))]
    modules = set(re.findall(rf"python -m ((?:{tops})[\w.]*)", text))
    names = [module.replace(".", "/") for module in modules]
    assert not [
        n for n in names if not (PROJECT / n).exists() and not (PROJECT / f"{n}.py").exists()
    ]


def test_a_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """Strict: a link or anchor that leads nowhere ends the build."""
    shutil.copytree(PROJECT / "docs", tmp_path / "docs")
    (tmp_path / "zensical.toml").write_bytes((PROJECT / "zensical.toml").read_bytes())
    zensical = Path(sys.executable).with_name("zensical")
    built = subprocess.run(
        [zensical, "build", "--strict"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert built.returncode == 0, built.stdout
    assert "Warning" not in built.stdout + built.stderr
    assert (tmp_path / "build" / "site" / "configuration" / "index.html").is_file()


def commands(page: Path) -> list[list[str]]:
    """The words of every ``python -m orchestrator`` command of a page's blocks of code."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines if "python -m orchestrator" in line]
    return [line[line.index("orchestrator") + 1 :] for line in words]


COMMANDS = [
    pytest.param(words, id=f"{page.stem}: {' '.join(words)[:60]}")
    for page in [README, *PAGES]
    for words in commands(page)
]


def resolved(name: str, given: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """The configuration of a command with its arguments."""
    if name == "train":
        return load_single_trial(given["arm"], overrides).model_dump(mode="json")
    if given.get("space") is not None:
        experiment = load_tuned_experiment(given["preset"], given["space"], overrides)
        return experiment.model_dump(mode="json")
    return load_experiment(given["preset"], overrides).model_dump(mode="json")


@pytest.mark.parametrize("words", COMMANDS)
def test_commands_are_accepted_and_every_override_changes_something(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLUE_DIR", "elsewhere")
    name, *arguments = words
    command = typer.main.get_group(app).commands[name]
    given = command.make_context(name, arguments).params  # refuses what the command does not take
    takes_none = "overrides" not in given
    if takes_none or given.get("preset", given.get("arm")) in ("PRESET", "mine.yaml"):
        return
    overrides = given["overrides"] or []
    whole = resolved(name, given, overrides)
    for override in overrides:
        others = [word for word in overrides if word != override]
        assert resolved(name, given, others) != whole, override


def test_the_readmes_own_preset_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for page in (README, PROJECT / "docs" / "experiments.md"):
        [text] = re.findall(r"^```yaml\n(# mine.*?)^```", page.read_text("utf-8"), re.DOTALL | re.M)
        Path("mine.yaml").write_text(text)
        experiment = load_experiment("mine.yaml", [])
        assert experiment.name == "mine"
        assert experiment.define.tasks["tickets"].labels == ("billing", "delivery", "other")


KEYS = re.compile(r"^\| `([a-z_.A-Z]+)=([^`]+)`", re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "docs/experiments.md"])
def test_every_key_of_the_tables_changes_the_configuration(page: str) -> None:
    pairs = KEYS.findall((PROJECT / page).read_text("utf-8"))
    assert len(pairs) >= 5
    before = load_experiment("demo", [])
    for key, value in pairs:
        arm = key.replace("define.arms.NAME", "define.arms.shared_encoder_joint")
        changed = load_experiment("demo", [f"{arm}={value}"])
        assert changed != before, key


def test_the_python_example_fits_the_api() -> None:
    """Its statements up to the first run are executed; the methods after it exist."""
    text = (PROJECT / "docs/experiments.md").read_text("utf-8")
    [block] = re.findall(r"^```python\n(from orchestrator.*?)^```", text, re.DOTALL | re.MULTILINE)
    before, _, after = block.partition("outcome = ")
    names: dict[str, Any] = {}
    exec(before, names)
    assert names["experiment"].plan().trials
    for method in re.findall(r"experiment\.(\w+)\(", after):
        assert callable(getattr(names["experiment"], method))
    for field in re.findall(r"outcome\.(\w+)", after):
        assert field in Outcome.__annotations__


def test_the_citation_has_what_its_format_asks_for() -> None:
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text("utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "version", "license", "date-released"} <= set(citation)
    assert citation["license"] == "Apache-2.0"


def test_one_version_everywhere() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == project["version"]
    assert f"## [{project['version']}]" in (PROJECT / "CHANGELOG.md").read_text("utf-8")
