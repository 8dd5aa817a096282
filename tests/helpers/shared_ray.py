"""Runs grids and searches in the Ray of the fixture ``shared_ray``."""

import io
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import ray
from ray import tune
from rich.console import Console

from orchestrator.commands.session import MakeExecutor
from orchestrator.commands.tune import TunedExperiment
from orchestrator.config.experiment import ExperimentConfig
from orchestrator.execution.tune_executor import TuneExecutor
from orchestrator.planning.grid import Config
from orchestrator.planning.resources import NOTHING_CHOSEN, GpuNeed, ResourceChoices, TrialResources


class SharedRayExecutor(TuneExecutor):
    """Runs trials, two at a time, in a Ray that was started before; a context as ``TuneExecutor``.

    Args:
        config: the grid.
        address: of the Ray.
        trainable: see ``TuneExecutor``.
    """

    def __init__(
        self, config: Config, address: str, trainable: type[tune.Trainable] | None = None
    ) -> None:
        assert isinstance(config, ExperimentConfig)
        super().__init__(config, trainable=trainable)
        self._address = address

    def resources(
        self,
        trials: int,
        need: Callable[[], GpuNeed],
        choices: ResourceChoices = NOTHING_CHOSEN,
        *,
        measure: bool = False,
    ) -> TrialResources:
        """See ``Executor``."""
        if not ray.is_initialized():
            ray.init(self._address, log_to_driver=False, logging_level=logging.ERROR)
            self._stack.callback(ray.shutdown)
        slots = self._experiment.resources.max_concurrent or 2
        return TrialResources(cpu=1, gpu=0.0, slots=min(2, slots))


@contextmanager
def with_ray(address: str, trainable: type[tune.Trainable] | None = None) -> Iterator[MakeExecutor]:
    """Makes executors that run trials in the Ray at this address, which is left in the end."""
    with ExitStack() as stack:
        yield lambda config: stack.enter_context(SharedRayExecutor(config, address, trainable))


def search(
    run_dir: Path,
    space: str,
    overrides: list[str],
    address: str,
    trainable: type[tune.Trainable] | None = None,
) -> None:
    """The command ``tune demo`` with the shared Ray."""
    console = Console(file=io.StringIO(), width=200)
    experiment = TunedExperiment.load("demo", space, overrides)
    with with_ray(address, trainable) as executor:
        experiment.run(run_dir, console=console, executor=executor)


def search_in_session(*arguments: object) -> None:
    """``search`` in a process that a test can kill."""
    # Of a driver that is killed, Ray signals the whole process group.
    os.setsid()
    search(*arguments)  # type: ignore[arg-type]
