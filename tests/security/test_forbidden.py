"""What no file of the project does: run what it reads. Each exception is named here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT

TOP = ("orchestrator", "search_spaces", "trainables")

MODULES = {"pickle", "cloudpickle", "joblib", "dill", "marshal", "shelve", "code", "pty"}
CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "pandas.read_pickle",
    "pd.read_pickle",
    "torch.hub.load",
    "evaluate.load",
    "evaluate.combine",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
}
MUST = {
    "torch.load": ("weights_only", True),
    "AutoConfig.from_pretrained": ("trust_remote_code", False),
    "AutoModel.from_pretrained": ("trust_remote_code", False),
    "AutoTokenizer.from_pretrained": ("trust_remote_code", False),
}
"""Calls that must have an argument."""

MUST_NOT = {("allow_pickle", True), ("shell", True), ("trust_remote_code", True)}
"""Arguments that no call may have; what is not a constant might be them."""


def findings(text: str) -> Iterator[str]:
    """What is forbidden in a source text."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            names = []
        yield from (f"import {name}" for name in names if name.partition(".")[0] in MODULES)
        if isinstance(node, ast.Call):
            yield from _of_call(node)


def _of_call(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func)
    given = {word.arg: getattr(word.value, "value", None) for word in call.keywords if word.arg}
    if name in CALLS:
        yield name
    for ending, (argument, value) in MUST.items():
        called = name == ending or name.endswith(f".{ending}")
        if called and given.get(argument) is not value:
            yield f"{name} without {argument}={value}"
    for argument, value in MUST_NOT:
        if argument in given and given[argument] is not (not value):
            yield f"{argument}={value}"


def test_no_file_runs_what_it_reads() -> None:
    found = {
        (path.relative_to(PROJECT).as_posix(), finding)
        for top in TOP
        for path in (PROJECT / top).rglob("*.py")
        for finding in findings(path.read_text(encoding="utf-8"))
    }
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from joblib import load",
        "def f():\n    import dill.source",
        "eval(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=trusted)",
        "subprocess.run(text, shell=True)",
        "transformers.AutoModel.from_pretrained(folder)",
        "load_dataset(name, trust_remote_code=True)",
        "yaml.load(text, Loader)",
    ],
)
def test_what_is_forbidden_is_found(text: str) -> None:
    assert list(findings(text))


@pytest.mark.parametrize(
    "text",
    [
        "torch.load(path, weights_only=True)",
        "np.load(path, mmap_mode='r')",
        "AutoModel.from_pretrained(folder, trust_remote_code=False)",
        "subprocess.run(['git', 'status'])",
        "model.eval()",
        "re.compile(text)",
    ],
)
def test_what_is_allowed_is_not_found(text: str) -> None:
    assert not list(findings(text))


def test_the_tree_is_there() -> None:
    assert all(list(Path(PROJECT / top).rglob("*.py")) for top in TOP)
