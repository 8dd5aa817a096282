"""The trials of a hyperparameter search as plain values, for reports.

A group (arm x model, and task for ``single_task``) is searched on its own, with the same number of
trials as every other. Budgets are counted in training examples, so that arms and batch sizes are
comparable. Scores are fractions, higher is better, measured on ``selection``.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from trainables.results.status import TrialStatus

STATUSES = (
    TrialStatus.FINISHED,
    TrialStatus.STOPPED,
    TrialStatus.DIVERGED,
    TrialStatus.FAILED,
    TrialStatus.UNFINISHED,
)
"""The states of a search's trials in a report, in its order."""

SOUND = (TrialStatus.FINISHED, TrialStatus.STOPPED, TrialStatus.UNFINISHED)
"""The states in which a score counts: the scores of diverged and failed trials never win."""


@dataclass(frozen=True)
class TrialSummary:
    """One trial of a search.

    Attributes:
        index: its number in the group, counted from 0.
        key: of the trial.
        settings: dotted key -> value that was suggested.
        status: one of ``STATUSES``.
        reason: the status in a few words.
        score: the last one that was reported. None or not finite if there is none.
        examples: training examples that it has seen.
        full: training examples that it would have seen without being stopped.
        seconds: of training.
        rungs: (examples, score) of every report, examples increasing.
        schedule: (share of the steps, settings from there on) of a trial whose settings changed
            during training, beginning with those at its start; ``settings`` are those at its end.
            Empty if they did not change.
        seed: with which settings are ranked again. None: that of the search.
    """

    index: int
    key: str
    settings: dict[str, Any]
    status: TrialStatus
    reason: str
    score: float | None
    examples: int
    full: int
    seconds: float
    rungs: tuple[tuple[int, float], ...]
    schedule: tuple[tuple[float, dict[str, Any]], ...] = ()
    seed: int | None = None

    @property
    def value(self) -> float | None:
        """The score. None if it is not finite, or the trial diverged or failed."""
        if self.status not in SOUND or self.score is None or not math.isfinite(self.score):
            return None
        return self.score

    @property
    def saved(self) -> int:
        """Training examples that the scheduler saved; what a failure left undone is not saved."""
        stopped = self.status == TrialStatus.STOPPED
        return max(0, self.full - self.examples) if stopped else 0


@dataclass(frozen=True)
class Spent:
    """The cost of trials, of one group or of several together.

    Attributes:
        trials: number of trials.
        by_status: status -> number of trials, for every status of ``STATUSES``.
        examples, full, saved: training examples that were seen, that trials would have seen without
            being stopped, and that the scheduler saved. ``full`` is more than the sum of the others
            if trials diverged, failed or are unfinished.
        seconds: of training.
    """

    trials: int
    by_status: dict[str, int]
    examples: int
    full: int
    saved: int
    seconds: float

    @classmethod
    def of(cls, trials: Iterable[TrialSummary]) -> "Spent":
        """Add up trials."""
        trials = list(trials)
        statuses = [trial.status for trial in trials]
        return cls(
            trials=len(trials),
            by_status={status: statuses.count(status) for status in STATUSES},
            examples=sum(trial.examples for trial in trials),
            full=sum(trial.full for trial in trials),
            saved=sum(trial.saved for trial in trials),
            seconds=math.fsum(trial.seconds for trial in trials),
        )

    @property
    def share(self) -> float | None:
        """Examples seen as a fraction of the full budget. None if there is no budget."""
        return self.examples / self.full if self.full else None

    @property
    def share_saved(self) -> float | None:
        """Examples saved as a fraction of the full budget. None if there is no budget."""
        return self.saved / self.full if self.full else None


@dataclass(frozen=True)
class GroupSummary:
    """What was searched on its own: an arm and a model, and for ``single_task`` a task.

    Attributes:
        arm, label, strategy, model: as in the comparison table.
        task: of ``single_task``. None for every other strategy.
        metric: of the scores: ``macro``, or the headline metric of the task.
        tried: the trials in the order in which they were suggested.
        chosen: index of the best trial. None if no trial has a score yet.
        importances: dotted key -> its share of the variation of the scores; may be empty.
        reruns: the trials with which the best settings are ranked again, under the indices of the
            trials that had these settings first.
        reranked: whether ``chosen`` follows from them.
    """

    arm: str
    label: str
    strategy: str
    model: str
    task: str | None
    metric: str
    tried: tuple[TrialSummary, ...]
    chosen: int | None
    importances: dict[str, float]
    reruns: tuple[TrialSummary, ...] = ()
    reranked: bool = False

    @property
    def trials(self) -> tuple[TrialSummary, ...]:
        """All that were trained for its settings."""
        return (*self.tried, *self.reruns)

    @property
    def spent(self) -> Spent:
        """The cost of its trials together."""
        return Spent.of(self.trials)

    def rerank_scores(self, index: int) -> tuple[float, ...]:
        """The scores of a trial's settings with the new seeds; may be empty."""
        scores = (rerun.value for rerun in self.reruns if rerun.index == index)
        return tuple(score for score in scores if score is not None)

    @property
    def best(self) -> float | None:
        """The highest last score of a trial. None if no score counts."""
        scores = (trial.value for trial in self.tried)
        return max((score for score in scores if score is not None), default=None)

    @property
    def choice(self) -> TrialSummary | None:
        """The best trial. None if no trial has a score yet."""
        return next((trial for trial in self.tried if trial.index == self.chosen), None)

    @property
    def tied(self) -> tuple[TrialSummary, ...]:
        """The other finished trials that have exactly the best one's score."""
        choice = self.choice
        if choice is None or choice.value is None:
            return ()
        finished = (trial for trial in self.tried if trial.status == TrialStatus.FINISHED)
        return tuple(
            trial
            for trial in finished
            if trial.index != choice.index and trial.value == choice.value
        )

    @property
    def parameters(self) -> tuple[str, ...]:
        """Every dotted key that was suggested, in order of first appearance."""
        return tuple(dict.fromkeys(key for trial in self.tried for key in trial.settings))

    @property
    def best_so_far(self) -> tuple[tuple[int, float], ...]:
        """(examples spent by the group, highest score yet), a point wherever the score rises.

        The trials are laid one after another in the order of their suggestion, as if they ran one
        at a time; the last point stands at all examples spent.
        """
        points: list[tuple[int, float]] = []
        before = 0
        for trial in self.tried:
            for examples, score in _scores(trial):
                if not points or score > points[-1][1]:
                    points.append((before + examples, score))
            before += trial.examples
        if points and points[-1][0] < before:
            points.append((before, points[-1][1]))
        return tuple(points)


def _scores(trial: TrialSummary) -> list[tuple[int, float]]:
    """(examples, score) of a trial's scores that count, its last one included."""
    if trial.status not in SOUND:
        return []
    last = () if trial.value is None else ((trial.examples, trial.value),)
    return [(n, score) for n, score in (*trial.rungs, *last) if math.isfinite(score)]


@dataclass(frozen=True)
class SearchSummary:
    """A whole search.

    Attributes:
        space, search, scheduler: names of the space, the search method and the scheduler.
        seed: of the search.
        groups: in the order of the plan.
    """

    space: str
    search: str
    scheduler: str
    seed: int
    groups: tuple[GroupSummary, ...]

    @property
    def spent(self) -> Spent:
        """The cost of the whole search."""
        return Spent.of(trial for group in self.groups for trial in group.trials)

    @property
    def arms(self) -> dict[str, tuple[GroupSummary, ...]]:
        """Arm -> its groups, in order of first appearance."""
        names = dict.fromkeys(group.arm for group in self.groups)
        return {name: tuple(g for g in self.groups if g.arm == name) for name in names}
