"""What a hyperparameter search tried, as plain values that a report can be made of.

A group (arm x model, and task for ``single_task``) is searched on its own, with the same number of
trials as every other. Budgets are counted in training examples, so that arms and batch sizes are
comparable. Scores are fractions, higher is better, measured on ``selection``.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

STATUSES = ("finished", "stopped", "diverged", "failed", "unfinished")
"""How a trial of a search stands; ``stopped`` is by the scheduler."""

SOUND = ("finished", "stopped", "unfinished")
"""Those whose scores count: numbers that a diverged or failed trial left never win."""


@dataclass(frozen=True)
class TrialSummary:
    """One trial of a search.

    Attributes:
        index: its number in the group, counted from 0.
        key: of its configuration.
        settings: dotted key -> value that was sampled for it.
        status: one of ``STATUSES``.
        reason: the same in a few words for humans.
        score: the last one that was measured; none or not finite where there is none.
        examples: training examples that it saw.
        full: training examples that it would have seen without being stopped.
        seconds: of training.
        rungs: (examples, score) of every measurement, examples increasing.
        schedule: (share of the steps, settings from there on) of a trial whose settings changed on
            the way, beginning with those at its start; ``settings`` are those at its end. Empty
            where they did not change.
    """

    index: int
    key: str
    settings: dict[str, Any]
    status: str
    reason: str
    score: float | None
    examples: int
    full: int
    seconds: float
    rungs: tuple[tuple[int, float], ...]
    schedule: tuple[tuple[float, dict[str, Any]], ...] = ()

    @property
    def value(self) -> float | None:
        """The score where it counts: finite, and of a trial that neither diverged nor failed."""
        if self.status not in SOUND or self.score is None or not math.isfinite(self.score):
            return None
        return self.score

    @property
    def saved(self) -> int:
        """Training examples that the scheduler saved; what a failure left undone is not saved."""
        return max(0, self.full - self.examples) if self.status == "stopped" else 0


@dataclass(frozen=True)
class Spent:
    """What trials cost, of one group or of several together.

    Attributes:
        trials: number of trials.
        by_status: status -> number of trials, every status of ``STATUSES``.
        examples, full, saved: training examples that were seen, that trials would have seen without
            being stopped, and that the scheduler saved. ``full`` is more than the sum of the others
            where trials diverged, failed or are unfinished.
        seconds: of training.
    """

    trials: int
    by_status: dict[str, int]
    examples: int
    full: int
    saved: int
    seconds: float

    @classmethod
    def of(cls, tried: Iterable[TrialSummary]) -> "Spent":
        """Add up trials."""
        tried = list(tried)
        status = [one.status for one in tried]
        return cls(
            trials=len(tried),
            by_status={name: status.count(name) for name in STATUSES},
            examples=sum(one.examples for one in tried),
            full=sum(one.full for one in tried),
            saved=sum(one.saved for one in tried),
            seconds=math.fsum(one.seconds for one in tried),
        )

    @property
    def share(self) -> float | None:
        """Examples seen as a fraction of the full budget; none where there is no budget."""
        return self.examples / self.full if self.full else None

    @property
    def share_saved(self) -> float | None:
        """Examples saved as a fraction of the full budget; none where there is no budget."""
        return self.saved / self.full if self.full else None


@dataclass(frozen=True)
class GroupSummary:
    """What was searched on its own: an arm and a model, and for ``single_task`` a task.

    Attributes:
        arm, label, strategy, model: as in the comparison table.
        task: of ``single_task``; none for every other strategy.
        metric: what a score is: ``macro``, or the headline metric of the task.
        tried: the trials in the order of their start.
        chosen: index of the trial whose settings were chosen; none where there is none yet.
        importances: parameter -> its share of what the scores depend on; may be empty.
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

    @property
    def spent(self) -> Spent:
        """What its trials cost together."""
        return Spent.of(self.tried)

    @property
    def best(self) -> float | None:
        """The highest last score of a trial whose score counts."""
        return max((one.value for one in self.tried if one.value is not None), default=None)

    @property
    def choice(self) -> TrialSummary | None:
        """The chosen trial."""
        return next((one for one in self.tried if one.index == self.chosen), None)

    @property
    def tied(self) -> tuple[TrialSummary, ...]:
        """The other finished trials that have exactly the chosen one's score."""
        choice = self.choice
        if choice is None or choice.value is None:
            return ()
        return tuple(
            one
            for one in self.tried
            if one.index != choice.index and one.status == "finished" and one.value == choice.value
        )

    @property
    def parameters(self) -> tuple[str, ...]:
        """Every dotted key that was sampled, in order of first appearance."""
        return tuple(dict.fromkeys(key for one in self.tried for key in one.settings))

    @property
    def best_so_far(self) -> tuple[tuple[int, float], ...]:
        """(examples spent by the group, highest score yet), a point wherever it rises.

        The trials are laid one after another in the order of their start, as if they ran one at a
        time; the last point stands at all examples spent.
        """
        points: list[tuple[int, float]] = []
        before = 0
        for one in self.tried:
            for examples, score in _measured(one):
                if not points or score > points[-1][1]:
                    points.append((before + examples, score))
            before += one.examples
        if points and points[-1][0] < before:
            points.append((before, points[-1][1]))
        return tuple(points)


def _measured(one: TrialSummary) -> list[tuple[int, float]]:
    """The scores of a trial that count, its last one included."""
    if one.status not in SOUND:
        return []
    last = () if one.value is None else ((one.examples, one.value),)
    return [(n, score) for n, score in (*one.rungs, *last) if math.isfinite(score)]


@dataclass(frozen=True)
class SearchSummary:
    """A whole search.

    Attributes:
        space, search, scheduler: what was sampled, by which search, stopped by which scheduler.
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
        """What the whole search cost."""
        return Spent.of(one for group in self.groups for one in group.tried)

    @property
    def arms(self) -> dict[str, tuple[GroupSummary, ...]]:
        """Arm -> its groups, in order of first appearance."""
        names = dict.fromkeys(group.arm for group in self.groups)
        return {name: tuple(g for g in self.groups if g.arm == name) for name in names}
