"""Opens a run directory for a command: trackers, lock, records, disk check, executor."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from rich.console import Console

from orchestrator.config.experiment import ExperimentConfig, SingleTrialConfig
from orchestrator.execution.executor import Executor
from orchestrator.execution.local_executor import LocalExecutor
from orchestrator.execution.tracking import tracked
from orchestrator.planning.disk import check_room, disk_use
from orchestrator.planning.grid import Config
from orchestrator.planning.plan import Plan, PlannedTrial, largest
from orchestrator.planning.resources import (
    NOTHING_CHOSEN,
    ResourceChoices,
    TrialResources,
    local_resources,
)
from orchestrator.run_dir.directory import lock_run_dir
from orchestrator.run_dir.remote import opened
from orchestrator.run_dir.resource_choices import read_choices
from trainables.data.token_cache import check_cache_dir
from trainables.errors import ConfigError
from trainables.results.record import TrialRecord
from trainables.storage.run_dir import RunDir

AnyConfig = TypeVar("AnyConfig", bound=Config)
MakeExecutor = Callable[[Config], Executor]
"""Makes the executor of a command from its configuration."""


@dataclass(frozen=True)
class Session(Generic[AnyConfig]):
    """A run directory that a command has opened and locked.

    Attributes:
        config: the command's configuration, with the trackers that can be used.
        run_dir: the run directory.
        records: key -> record, of the trials that have ended before.
        executor: runs trials; connects to Ray, if it uses it, only when it is asked for resources.
        console: where the command prints.
    """

    config: AnyConfig
    run_dir: RunDir
    records: dict[str, TrialRecord]
    executor: Executor
    console: Console

    def resources(self, plan: Plan) -> TrialResources:
        """What each trial of a plan gets (see ``Executor.resources``)."""
        choices = read_choices(self.run_dir, self.records.values())
        return self.executor.resources(
            len(plan.trials), lambda: largest(plan), choices, measure=True
        )

    def check_room(
        self, plan: Plan, trials: Sequence[PlannedTrial], resources: TrialResources
    ) -> None:
        """Check that the disk has room for what ``trials`` of a plan write.

        Raises:
            RunDirectoryError: it has too little.
        """
        check_room(self.run_dir, disk_use(self.config, plan, trials, resources.slots))


@contextmanager
def open_session(
    config: AnyConfig,
    where: Path | str,
    console: Console,
    *,
    plan: Plan | None = None,
    check: Callable[[RunDir], object] = lambda run_dir: None,
    local: bool = False,
    executor: MakeExecutor | None = None,
) -> Iterator[Session[AnyConfig]]:
    """Open and lock a run directory for a command.

    Args:
        config: the command's configuration.
        where: the run directory, a path or a URL.
        console: where the command prints.
        plan: the trials; None if they are not known yet, and may be others than last time.
        check: called with the run directory before anything is written there.
        local: whether trials run in this process.
        executor: makes the executor, in place of the two usual ones.

    Raises:
        InputError: raised by ``check``; or the run directory or this machine's token cache cannot
            be used.
    """
    if local and isinstance(config, ExperimentConfig):
        _check_local(config)
    if isinstance(config, SingleTrialConfig) or local or config.ray.address is None:
        check_cache_dir(config.data.cache_dir)
    with (
        opened(where, config.checkpoint.storage_timeout) as run_dir,
        tracked(config, run_dir.root, console) as usable,
        ExitStack() as stack,
    ):
        check(run_dir)
        records = stack.enter_context(lock_run_dir(run_dir, usable, plan, console))
        if executor is not None:
            chosen = executor(usable)
        elif local or isinstance(usable, SingleTrialConfig):
            chosen = LocalExecutor(usable)
        else:
            # Importing Ray Tune takes seconds, which a local run saves.
            from orchestrator.execution.tune_executor import TuneExecutor

            chosen = stack.enter_context(TuneExecutor(usable, console, run_dir.where))
        yield Session(usable, run_dir, records, chosen, console)


def _check_local(experiment: ExperimentConfig) -> None:
    """Raises ConfigError: a setting asks for what a local run does not have."""
    for key in ("address", "dashboard"):
        if getattr(experiment.ray, key):
            raise ConfigError(
                f"ray.{key}: a local run starts no Ray; leave it out, or leave out --local"
            )


def preview_resources(
    experiment: ExperimentConfig,
    plan: Plan,
    trials: int,
    *,
    local: bool = False,
    choices: ResourceChoices = NOTHING_CHOSEN,
) -> TrialResources:
    """What each trial would get of this machine, or of the cluster at ``ray.address``.

    Args:
        experiment: the grid.
        plan: its trials, or the largest of them.
        trials: how many there are.
        local: whether they would run in this process.
        choices: what an earlier command of the run directory chose.

    Raises:
        ResourceError: no node can run a trial, or the cluster cannot be reached.
    """
    if local:
        return LocalExecutor(experiment).resources(trials, lambda: largest(plan), choices)
    if experiment.ray.address is None:
        # Without starting Ray, which takes seconds.
        return local_resources(experiment, trials, lambda: largest(plan), choices)
    from orchestrator.execution.tune_executor import TuneExecutor

    with TuneExecutor(experiment) as executor:
        return executor.resources(trials, lambda: largest(plan), choices)
