"""The floors of the code: no cycles, small folders, Ray's private API and late imports in lists."""

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

from tests.conftest import PROJECT

PACKAGES = ("orchestrator", "search_spaces", "trainables")

MOST_MODULES = 21
"""In one folder."""

PRIVATE_API = "orchestrator.execution.ray.private_api"
PRIVATE = ("ray._", "ray.core.generated", "ray.tune.execution")
"""How the names of Ray's modules begin that are no public API."""

COMMAND = "--help and a mistyped key answer before the imports of a command, which take seconds"
LATE = "start-up: takes a second, and most commands do without it"
OPTIONAL = "an optional package (pyproject's extras)"
RAY = "start-up: a local run and a finished grid do without Ray"
OLD_PYTHON = "the cluster's Python and packages are checked first"

IMPORTS_INSIDE_FUNCTIONS = {
    "benchmarks.large_grid": (
        LATE,
        "trainables.training.evaluation",
        "trainables.trial.artifacts",
    ),
    "orchestrator.cli.app": (
        COMMAND,
        "orchestrator.commands.checklist",
        "orchestrator.commands.compare",
        "orchestrator.commands.convert",
        "orchestrator.commands.cost",
        "orchestrator.commands.experiment",
        "orchestrator.commands.export",
        "orchestrator.commands.plan",
        "orchestrator.commands.report",
        "orchestrator.commands.submission",
        "orchestrator.commands.train",
        "orchestrator.commands.tune",
        "orchestrator.commands.tune_preview",
        "orchestrator.commands.tune_report",
        "orchestrator.commands.watch",
        "orchestrator.config.experiment",
        "orchestrator.config.search",
        "orchestrator.run_dir.remote",
    ),
    "orchestrator.cli.predict": (
        COMMAND,
        "orchestrator.commands.predict",
        "orchestrator.deploy.bulk.prediction",
    ),
    "orchestrator.cli.serve": (
        COMMAND,
        "orchestrator.commands.serve",
        "orchestrator.deploy.serving.schema",
    ),
    "orchestrator.cli.cluster_job": (
        OLD_PYTHON,
        "orchestrator.cli",
        "orchestrator.commands.report",
        "orchestrator.commands.tune_report",
        "orchestrator.run_dir.remote",
        "trainables.errors",
    ),
    "orchestrator.cli.console": (
        COMMAND,
        "orchestrator.commands.report",
        "orchestrator.report.render",
        "orchestrator.report.terminal",
        "orchestrator.report.tuning.report",
    ),
    "orchestrator.cli.submit": (
        COMMAND,
        "orchestrator.submit.package",
        "orchestrator.submit.submit",
    ),
    "orchestrator.commands.checklist": (LATE, "orchestrator.search.engine"),
    "orchestrator.commands.plan": (
        LATE,
        "orchestrator.commands.session",
        "orchestrator.execution.tracking",
    ),
    "orchestrator.commands.serve": (OPTIONAL, "orchestrator.deploy.serving.server"),
    "orchestrator.commands.session": (RAY, "orchestrator.execution.tune_executor"),
    "orchestrator.deploy.int8": (OPTIONAL, "onnxruntime.quantization"),
    "orchestrator.deploy.onnx_model": (OPTIONAL, "onnxruntime"),
    "orchestrator.execution.ray.private_api": (OPTIONAL, "ray.serve._private"),
    "orchestrator.planning.encoders": (
        LATE,
        "trainables.data.tokens",
        "trainables.models.encoder",
    ),
    "orchestrator.planning.plan": (LATE, "trainables.training.gpu_memory"),
    "orchestrator.planning.resources": (LATE, "torch", "trainables.training.device"),
    "orchestrator.report.svg": (LATE, "matplotlib.figure", "matplotlib.style"),
    "orchestrator.report.tuning.charts": (LATE, "matplotlib"),
    "orchestrator.run_dir.directory": (LATE, "trainables.trial.cleanup"),
    "orchestrator.run_dir.environment": (LATE, "torch"),
    "orchestrator.run_dir.store_lock": (LATE, "trainables.storage.conditional_writes"),
    "orchestrator.search.trial_search": (RAY, "orchestrator.search.schedulers"),
    "search_spaces.searchers.importance": (LATE, "optuna"),
    "search_spaces.searchers.optuna_study": (
        LATE,
        "optuna",
        "optuna.distributions",
        "optuna.trial",
    ),
    "search_spaces.searchers.sobol": (LATE, "scipy.stats"),
    "search_spaces.searchers.tpe": (LATE, "optuna"),
    "trainables.data.files": (LATE, "pyarrow", "pyarrow.parquet"),
    "trainables.data.hub": (LATE, "datasets", "huggingface_hub", "huggingface_hub.errors"),
    "trainables.data.sources": (LATE, "trainables.data"),
    "trainables.models.check": (LATE, "trainables.models.hub"),
    "trainables.models.hub": (LATE, "huggingface_hub"),
    "trainables.models.quiet": (LATE, "huggingface_hub.utils", "transformers.utils"),
    "trainables.storage.object_store": (LATE, "fsspec.core"),
    "trainables.tracking.mlflow": (
        OPTIONAL,
        "mlflow",
        "mlflow.entities",
        "mlflow.exceptions",
        "sqlalchemy.engine",
        "sqlalchemy.exc",
    ),
    "trainables.tracking.tensorboard": (
        OPTIONAL,
        "tensorboard.backend.event_processing.event_accumulator",
        "torch.utils.tensorboard",
        "torch.utils.tensorboard.summary",
    ),
    "trainables.tracking.wandb": (LATE, "wandb"),
    "trainables.tracking.wandb_files": (LATE, "google.protobuf.message", "wandb.proto"),
    "trainables.training.evaluation": (LATE, "trainables.results.evaluate_metric"),
}
"""Module -> why it imports inside functions, and what."""


def modules(*tops: str) -> Iterator[tuple[str, ast.Module]]:
    """Name and syntax tree of every module below these folders."""
    for top in tops:
        for path in sorted((PROJECT / top).rglob("*.py")):
            name = ".".join(path.relative_to(PROJECT).with_suffix("").parts)
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.AST) -> Iterator[str]:
    """Names of the modules that a part of a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
            # ``from ray import _private``
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def imported_late(tree: ast.Module) -> set[str]:
    """Names of the modules that a module imports inside functions."""
    functions = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    statements = (node for function in functions for node in ast.walk(function))
    names: set[str] = set()
    for node in statements:
        if isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return names


def inner_imports() -> dict[str, dict[str, set[str]]]:
    """Package -> its child (file, sub-package or ``__init__``) -> the children that it imports."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    packages: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for importer in graph.modules:
        for target in graph.find_modules_directly_imported_by(importer):
            ours, theirs = importer.split("."), target.split(".")
            depth = 0
            while depth < min(len(ours), len(theirs)) and ours[depth] == theirs[depth]:
                depth += 1
            child = ours[depth] if depth < len(ours) else "__init__"
            other = theirs[depth] if depth < len(theirs) else "__init__"
            packages[".".join(ours[:depth])][child].add(other)
    return packages


def test_no_package_has_a_cycle_among_its_children() -> None:
    """No strongly connected component of more than one child, at any level."""
    cycles = {}
    for package, children in inner_imports().items():
        try:
            TopologicalSorter(children).prepare()
        except CycleError as error:
            cycles[package] = " -> ".join(error.args[1])
    assert not cycles


@pytest.mark.parametrize("top", ["orchestrator", "trainables"])
def test_no_folder_has_too_many_modules(top: str) -> None:
    folders = defaultdict(list)
    for path in (PROJECT / top).rglob("*.py"):
        if path.name != "__init__.py":
            folders[path.parent.relative_to(PROJECT).as_posix()].append(path.name)
    assert not {f: len(names) for f, names in folders.items() if len(names) > MOST_MODULES}


def test_rays_private_api_is_touched_in_one_module() -> None:
    touching = {
        name
        for name, tree in modules(*PACKAGES, "benchmarks", "tests")
        if any(module.startswith(PRIVATE) for module in imported(tree))
    }
    assert touching == {PRIVATE_API}


def test_imports_inside_functions_are_those_of_the_list() -> None:
    late = {
        name: names
        for name, tree in modules(*PACKAGES, "benchmarks")
        if (names := imported_late(tree))
    }
    allowed = {name: set(names) for name, (_, *names) in IMPORTS_INSIDE_FUNCTIONS.items()}
    assert late == allowed, "each needs a reason: an optional package, or start-up time"


def test_commands_import_ray_only_when_they_start_it() -> None:
    commands = [path.stem for path in Path(PROJECT / "orchestrator/commands").glob("[a-z]*.py")]
    imports = ", ".join(f"orchestrator.commands.{name}" for name in commands)
    code = f"import sys, {imports}; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0


def test_a_plan_is_made_without_torch_where_the_facts_are_known() -> None:
    code = "import sys, orchestrator.commands.plan; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0
