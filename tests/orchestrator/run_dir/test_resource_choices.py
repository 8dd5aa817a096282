"""What was chosen for all trials is kept: an interrupted command continues with it."""

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
from orchestrator.planning.resources import (
    NOTHING_CHOSEN,
    GpuNeed,
    ResourceChoices,
    TrialResources,
)
from orchestrator.run_dir.resource_choices import read_choices
from tests.helpers.command import small_grid
from tests.helpers.records import record, trial
from trainables.storage.run_dir import RunDir


class Measuring(LocalExecutor):
    """Chooses something else each time that it is asked to; runs nothing."""

    def __init__(self, config: Config, asked: list[ResourceChoices]) -> None:
        super().__init__(config)
        self._asked = asked

    def resources(
        self,
        trials: int,
        need: Callable[[], GpuNeed],
        choices: ResourceChoices = NOTHING_CHOSEN,
        *,
        measure: bool = False,
    ) -> TrialResources:
        """See ``Executor``."""
        assert measure
        self._asked.append(choices)
        config = need().config
        assert config is not None
        curve = (Throughput(1, 100.0 + len(self._asked)),)
        kept = choices.sharing or GpuSharing(trial=config.key, curve=curve)
        precision = choices.precision or ("fp32", "bf16")[len(self._asked) % 2]
        return TrialResources(1, 0.0, 1, sharing=kept, precision=precision)

    def run(self, *arguments: Any, **settings: Any) -> None:
        """Interrupted at once."""
        raise KeyboardInterrupt


@pytest.mark.parametrize("command", ["run", "tune"])
def test_a_command_continues_with_what_it_has_chosen(
    command: str, tiny_bert: Path, tmp_path: Path
) -> None:
    preset, *overrides = small_grid(tiny_bert)
    asked: list[ResourceChoices] = []
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
    kept = read_choices(RunDir(folder))
    assert kept.precision == "bf16"
    assert kept.sharing is not None
    assert kept.sharing.curve == ((1, 101.0),)
    assert asked == [NOTHING_CHOSEN, kept]


def test_a_damaged_file_is_nothing(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    assert read_choices(run_dir) == NOTHING_CHOSEN
    run_dir.resource_choices.write_text('{"precision": "bf16", "sharing": [[0')
    assert read_choices(run_dir) == NOTHING_CHOSEN


def test_without_the_file_the_number_format_is_that_of_the_finished_trials(tmp_path: Path) -> None:
    failed = record(trial(seed=1), status="failed", precision="fp32")
    finished = record(trial(seed=2), precision="bf16")
    choices = read_choices(RunDir(tmp_path), [failed, finished])
    assert choices == ResourceChoices(precision="bf16")
    assert read_choices(RunDir(tmp_path), [failed]) == NOTHING_CHOSEN
