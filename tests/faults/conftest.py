"""The size of the fault tests, the undisturbed run to compare with, and what was measured."""

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.helpers.ray_grid import Grid, ended
from tests.helpers.reference_run import ReferenceRun


@dataclass(frozen=True)
class Size:
    """How large the grids are and how often a fault is injected."""

    seeds: tuple[int, ...]
    epochs: int
    kills: int
    ray_parts: tuple[str, ...]
    absences: int

    @property
    def settings(self) -> tuple[str, ...]:
        """Overrides of ``tests/helpers/ray_grid.py``; the trials really learn something."""
        return (
            f"seeds={list(self.seeds)}",
            f"training.epochs={self.epochs}",
            "training.learning_rate=0.002",
            # Deaths of a trial's process are what most of these tests are about.
            "retries=100",
            # On clusters too: starting processes is most of the time of trials as small as these.
            "ray.reuse=true",
        )


CI = Size(seeds=(41,), epochs=6, kills=3, ray_parts=("all",), absences=1)
SOAK = Size(
    seeds=(41, 42, 43), epochs=16, kills=20, ray_parts=("all", "raylet", "gcs_server"), absences=5
)


@dataclass(frozen=True)
class Figure:
    """One row of the soak table; seconds, none where they mean nothing."""

    fault: str
    injected: int
    trials: int
    lost: float | None = None
    every: float | None = None
    extra: float | None = None
    note: str = ""


class Figures(list[Figure]):
    """What the tests measured."""

    def markdown(self) -> str:
        """The soak table."""
        head = (
            "fault",
            "injected",
            "trials",
            "lost at most",
            "checkpoint.every",
            "extra wall time",
            "same table",
        )
        lines = ["| " + " | ".join(head) + " |", "|---" + "|--:" * 5 + "|---|"]
        for figure in self:
            seconds = (
                "–" if value is None else f"{value:.1f} s"
                for value in (figure.lost, figure.every, figure.extra)
            )
            cells = (figure.fault, str(figure.injected), str(figure.trials), *seconds)
            lines.append("| " + " | ".join((*cells, figure.note or "yes")) + " |")
        return "\n".join(lines)


_figures = Figures()


@pytest.fixture
def figures() -> Figures:
    """Where a test leaves what it measured, once it has found the table to be the same."""
    return _figures


@pytest.fixture(scope="session")
def soak(pytestconfig: pytest.Config) -> bool:
    """Whether the tests run at the size of ``make soak``."""
    return bool(pytestconfig.getoption("--soak"))


@pytest.fixture(scope="session")
def size(soak: bool) -> Size:
    """The size that was asked for."""
    return SOAK if soak else CI


@pytest.fixture(scope="session")
def reference_run(
    size: Size, tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory
) -> ReferenceRun:
    """The grid of all these tests, trained in this process without Ray, once."""
    return ReferenceRun(Grid(tmp_path_factory.mktemp("reference"), tiny_bert, size.settings))


@pytest.fixture(scope="module")
def grid(reference_run: ReferenceRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    """The same grid in a folder of its own, for the faults of one test file."""
    grid = dataclasses.replace(reference_run.grid, folder=tmp_path_factory.mktemp("grid"))
    yield grid
    grid.end()


@pytest.fixture(scope="session")
def quiet(
    soak: bool, reference_run: ReferenceRun, tmp_path_factory: pytest.TempPathFactory
) -> float | None:
    """Seconds that the command takes where nothing disturbs it; none outside of ``make soak``."""
    if not soak:
        return None
    grid = dataclasses.replace(reference_run.grid, folder=tmp_path_factory.mktemp("quiet"))
    began = time.monotonic()
    assert ended(grid.start(), seconds=600).code == 0
    seconds = time.monotonic() - began
    reference_run.assert_same(grid.run_dir)
    return seconds


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print and keep the soak table."""
    if not config.getoption("--soak") or not _figures:
        return
    text = _figures.markdown()
    path = PROJECT / "runs" / "soak.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    terminalreporter.section("faults")
    terminalreporter.write_line(text)
    terminalreporter.write_line(f"written to {path.relative_to(PROJECT)}")
