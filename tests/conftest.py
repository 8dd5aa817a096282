"""Fixtures that many tests share."""

import os
from pathlib import Path

import pytest
import torch

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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs all tests that start Ray, from the beginning; files are not divided."""
    for item in items:
        alone = item.get_closest_marker("ray") is not None
        item.add_marker(pytest.mark.xdist_group("ray" if alone else item.nodeid.partition("::")[0]))
    items.sort(key=lambda item: item.get_closest_marker("ray") is None)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test talks to a network: the Hub and W&B are told so."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("WANDB_MODE", "offline")


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
