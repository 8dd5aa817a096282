"""Fixtures that many tests share."""

import gc
import io
import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

PROJECT = Path(__file__).resolve().parents[1]

pytest_plugins = [
    "tests.helpers.command",
    "tests.helpers.fuzz_totals",
    "tests.helpers.object_store",
]

if "PYTEST_XDIST_WORKER" in os.environ:
    # Two workers that each take all cores would be slower than one.
    torch.set_num_threads(1)
    # Where there is no terminal, readline tells child processes a size all the same.
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)

# Not only in a fixture: huggingface_hub reads it once, when the first test file imports it.
os.environ["HF_HUB_OFFLINE"] = "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--soak",
        action="store_true",
        help="many more random cases and faults: minutes, not seconds",
    )
    parser.addoption(
        "--encoders",
        action="store_true",
        help="train every strategy with an encoder of every family, not one",
    )


class OneRayAtATime(LoadScopeScheduling):
    """Divides test files among the workers; one worker runs all tests that start Ray."""

    def _split_scope(self, nodeid: str) -> str:
        return "ray" if nodeid.endswith("@ray") else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneRayAtATime:
    """See pytest-xdist."""
    return OneRayAtATime(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that start Ray come first, since they take longest."""
    for item in items:
        if item.get_closest_marker("ray"):
            # With --dist loadgroup, pytest-xdist adds the group to the test's name.
            item.add_marker(pytest.mark.xdist_group("ray"))
    items.sort(key=lambda item: item.get_closest_marker("ray") is None)


def pytest_collection_finish() -> None:
    """Keep what was imported out of every later garbage collection, each of which takes longer."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The token cache of tests that name none."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, cache_folder: Path) -> None:
    """No test talks to a network, or reads or fills the user's cache."""
    monkeypatch.setenv("ONE_OR_MANY_CACHE", str(cache_folder))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("WANDB_MODE", "offline")


class BlankFigure:
    """Stands in place of a figure of matplotlib, and takes no time."""

    def savefig(self, out: Any, format: str, **_: object) -> None:
        """See matplotlib."""
        out.write("<svg></svg>" if isinstance(out, io.TextIOBase) else format.encode())

    def set_layout_engine(self, layout: None) -> None:
        """See matplotlib."""


@pytest.fixture(autouse=True)
def blank_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn only where reports are tested: those of a report take a second."""
    monkeypatch.setattr("orchestrator.report.svg._drawn", lambda *_: nullcontext(BlankFigure()))


@pytest.fixture(scope="session")
def glue_dir() -> Path:
    """The real GLUE folder: ``GLUE_DIR``, else ``../shared/glue`` beside the project."""
    folder = Path(os.environ.get("GLUE_DIR", PROJECT.parent / "shared" / "glue"))
    if not (folder / "CoLA" / "train.tsv").is_file():
        pytest.skip(f"no GLUE folder at {folder}: set GLUE_DIR to one")
    return folder


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny, randomly initialised BERT (2 layers, 32 wide, 64 positions)."""
    from tests.helpers.tiny_models import build

    return build("bert", tmp_path_factory.mktemp("models") / "tiny-bert")


@pytest.fixture(scope="session")
def shared_ray() -> Iterator[str]:
    """Address of a Ray of this machine with two CPUs, for tests that need none of their own."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 2, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield str(cluster.address)
    cluster.shutdown()
