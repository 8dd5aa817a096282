"""What was measured to divide a GPU is kept: an interrupted command continues with it."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from orchestrator.commands.experiment import Experiment
from orchestrator.commands.tune import TunedExperiment
from orchestrator.execution.local_executor import LocalExecutor
from orchestrator.planning.gpu_sharing import GpuSharing, Throughput
from orchestrator.planning.grid import Config
from orchestrator.planning.resources import GpuNeed, TrialResources
from orchestrator.run_dir.gpu_sharing import read_sharing
from tests.helpers.command import small_grid
from trainables.storage.run_dir import RunDir


class Measuring(LocalExecutor):
    """Measures something else each time that it is asked to; runs nothing."""

    def __init__(self, config: Config, asked: list[GpuSharing | None]) -> None:
        super().__init__(config)
        self._asked = asked

    def resources(
        self,
        trials: int,
        need: Callable[[], GpuNeed],
        sharing: GpuSharing | None = None,
        *,
        measure: bool = False,
    ) -> TrialResources:
        """See ``Executor``."""
        assert measure
        self._asked.append(sharing)
        config = need().config
        assert config is not None
        curve = (Throughput(1, 100.0 + len(self._asked)),)
        kept = sharing or GpuSharing(trial=config.key, curve=curve)
        return TrialResources(1, 0.0, 1, sharing=kept)

    def run(self, *arguments: Any, **settings: Any) -> None:
        """Interrupted at once."""
        raise KeyboardInterrupt


@pytest.mark.parametrize("command", ["run", "tune"])
def test_a_command_continues_with_what_it_has_measured(
    command: str, tiny_bert: Path, tmp_path: Path
) -> None:
    preset, *overrides = small_grid(tiny_bert)
    asked: list[GpuSharing | None] = []
    for _ in range(2):
        if command == "run":
            experiment = Experiment.load(preset, overrides)
        else:
            experiment = TunedExperiment.load(preset, "quick", overrides)
        with pytest.raises(KeyboardInterrupt):
            experiment.run(
                tmp_path,
                console=Console(file=io.StringIO()),
                executor=lambda config: Measuring(config, asked),
            )
    folder = tmp_path / "search" if command == "tune" else tmp_path
    kept = read_sharing(RunDir(folder))
    assert kept is not None
    assert kept.curve == ((1, 101.0),)
    assert asked == [None, kept]


def test_a_damaged_file_is_measured_again(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    assert read_sharing(run_dir) is None
    run_dir.gpu_sharing.write_text('{"trial": "a", "curve": [[0')
    assert read_sharing(run_dir) is None
