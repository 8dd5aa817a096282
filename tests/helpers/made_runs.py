"""An executor that trains nothing: how many examples its trials predict rightly is given."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from orchestrator.planning.plan import PlannedTrial
from orchestrator.planning.resources import TrialResources
from tests.helpers.records import Trial, record, write_predictions_of
from trainables.config.trial import TrialConfig
from trainables.results.record import write_record
from trainables.results.status import TrialStatus
from trainables.storage.run_dir import RunDir

EXAMPLES = 400


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it is done."""


class MadeRuns:
    """Leaves the records and predictions of its trials at once.

    Args:
        accuracy: arm -> share of examples that its runs predict rightly, but for some noise.
        collapsed: seeds whose runs of ``shared_encoder`` predict one class.
        failing: seeds whose runs of ``shared_encoder`` fail.

    Attributes:
        started: keys of the trials, in their order, over all runs.
        kill_at: number of trials that are let end; None: all.
    """

    def __init__(
        self,
        accuracy: Mapping[str, float],
        collapsed: Collection[int] = (),
        failing: Collection[int] = (),
    ) -> None:
        self.accuracy = accuracy
        self.collapsed = collapsed
        self.failing = set(failing)
        self.started: list[str] = []
        self.kill_at: int | None = None

    def __call__(self, config: Any) -> "MadeRuns":
        """Itself, as what makes an executor."""
        return self

    def resources(self, trials: int, *rest: Any, **options: Any) -> TrialResources:
        """See ``Executor``."""
        return TrialResources(1, 0.0, 2)

    def check(self, run_dir: RunDir, trials: Iterable[PlannedTrial], glue_dir: str | None) -> None:
        """See ``Executor``."""

    def run(
        self,
        next_trial: Callable[[], PlannedTrial | None],
        run_dir: RunDir,
        view: Any,
        **options: Any,
    ) -> None:
        """See ``Executor``."""
        while (trial := next_trial()) is not None:
            if self.kill_at is not None and len(self.started) >= self.kill_at:
                raise Killed
            self.started.append(trial.key)
            view.start(trial.key)
            view.finish(trial.key, self._leave(run_dir, trial.config))

    def _leave(self, run_dir: RunDir, config: TrialConfig) -> TrialStatus:
        planned, shared = Trial(config.key, config), config.arm_name == "shared_encoder"
        if shared and config.seed in self.failing:
            made = record(planned, status="failed", error="it was told to")
        else:
            made = record(
                planned,
                {task: self._confusion(config, i) for i, task in enumerate(config.tasks)},
            )
            write_predictions_of(run_dir, made)
        write_record(run_dir, made)
        run_dir.publish(run_dir.record(config.key))
        return TrialStatus(made.status)

    def _confusion(self, config: TrialConfig, task: int) -> list[list[int]]:
        """Of as many examples of two classes."""
        each = EXAMPLES // 2
        if config.arm_name == "shared_encoder" and config.seed in self.collapsed:
            return [[0, each], [0, each]]
        noise = (config.seed * (2 + task) + len(config.tasks)) % 3
        right = round(each * self.accuracy[config.arm_name]) + noise
        return [[right, each - right], [each - right + noise, right - noise]]
