"""Population based training: trains the segments of members, generation by generation.

Generations are synchronous: all members of a group end a segment before the next one begins, so
what a search does follows from its seed and scores, not from who was faster.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

from rich.console import Console

from orchestrator.config.search import TuneConfig
from orchestrator.execution.executor import Decision, Executor, TrialScheduler, each
from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.state import GridProgress
from orchestrator.planning.dependencies import artifacts_of
from orchestrator.planning.plan import PlannedTrial
from orchestrator.planning.resources import TrialResources
from orchestrator.search.ledger import SegmentStarted
from orchestrator.search.pbt.algorithm import changeable, exploit, explore
from orchestrator.search.pbt.state import Population, in_force
from orchestrator.search.plan import Group, SearchPlan
from orchestrator.search.study import Study, forecast_of
from orchestrator.search.suggest import Suggester
from orchestrator.search.time_budget import TimeBudget
from trainables.config.schedules import SettingChange
from trainables.results.record import read_record
from trainables.results.status import TrialStatus
from trainables.storage.run_dir import RunDir
from trainables.trial.cleanup import discard


@dataclass(frozen=True)
class PendingSegment:
    """A segment that is to be trained.

    Attributes:
        segment: the decision to train it.
        trial: the trial that trains it.
    """

    segment: SegmentStarted
    trial: PlannedTrial


class PbtDriver:
    """Trains segments round by round, and decides after each round which members go on from whom.

    A ``SearchEngine``.

    Args:
        study: the search so far, a ``Population``.
        plan: makes trials of settings.
        suggester: gives the settings that members start with.
        run_dir: the folder of the trials.
        time_budget: when it is exhausted, segments end unfinished and no more start.
    """

    study_class: ClassVar[type[Study]] = Population

    def __init__(
        self,
        study: Study,
        plan: SearchPlan,
        suggester: Suggester,
        run_dir: RunDir,
        time_budget: TimeBudget,
    ) -> None:
        assert isinstance(study, Population), "see ``study_class``"
        self._study = study
        self._plan = plan
        self._suggester = suggester
        self._run_dir = run_dir
        self._time_budget = time_budget
        self._keep = plan.experiment.checkpoint.keep
        self._discarded: set[str] = set()

    @classmethod
    def check(cls, plan: SearchPlan) -> None:
        """See ``SearchEngine``; something must be able to change during training."""
        for group in plan.groups:
            changeable(plan.experiment.space, group.facts, group.name)

    def more(self) -> bool:
        """See ``SearchEngine``."""
        return self._suggester.any_new() or any(map(self._is_open, self._study.groups))

    def _is_open(self, group: str) -> bool:
        """Whether a member of a group is still to be trained."""
        last = self._study.generations - 1
        newest = [self._study.member_segments(event)[-1] for event in self._study.trials_of(group)]
        generations = {segment.generation for segment in newest if segment.generation < last}
        return any(map(self._is_pending, newest)) or any(
            self._study.status(segment.key) is TrialStatus.FINISHED
            for generation in generations
            for segment in self._study.segments(group, generation)
        )

    def run(self, executor: Executor, resources: TrialResources, console: Console) -> None:
        """See ``SearchEngine``."""
        groups = groups_at_once(
            self._study.description.tune, len(self._study.groups), resources.slots
        )
        with LiveView(GridProgress([], resources.slots), console) as view:
            forecast = forecast_of(self._study, view)
            for pending in self.rounds(groups):
                for segment in (p.segment for p in pending):
                    slot = segment.group, segment.member, segment.generation
                    forecast.add(segment.key, slot, segment.examples)
                forecast.rescale()
                executor.run(
                    self._next_trial(pending),
                    self._run_dir,
                    view,
                    resources=resources,
                    glue_dir=self._plan.glue_dir,
                    artifacts=artifacts_of(self._plan.upstream),
                    scheduler=SegmentScheduler(self, self._time_budget),
                )
            forecast.clear()

    def _next_trial(self, pending: list[PendingSegment]) -> Callable[[], PlannedTrial | None]:
        next_trial = each(segment.trial for segment in pending)
        return lambda: None if self._time_budget.exhausted else next_trial()

    def kept_checkpoints(self, slots: int) -> int:
        """See ``SearchEngine``."""
        tune, groups = self._study.description.tune, len(self._study.groups)
        return waiting_checkpoints(tune, groups, slots, keep=self._keep)

    def rounds(self, at_once: int) -> Iterator[list[PendingSegment]]:
        """What is to be trained, a generation at a time.

        After each round, all of it has been trained, or the search is over for now.

        Args:
            at_once: how many groups are trained side by side (see ``groups_at_once``).
        """
        while self._suggester.new() is not None:
            pass
        remaining = iter(self._study.groups.values())
        while groups := list(islice(remaining, at_once)):
            for generation in range(self._study.generations):
                if self._time_budget.exhausted:
                    return
                for group in groups:
                    for segment in self.decisions(group, generation):
                        self._study.add(segment)
                self.clear()
                pending = self._pending(groups, generation)
                if pending:
                    yield pending
                    keys = [segment.trial.key for segment in pending]
                    for key in keys:
                        self.ended(key)
                    if any(self._study.status(key) is TrialStatus.UNFINISHED for key in keys):
                        return

    def ended(self, key: str) -> None:
        """A segment has ended, for whatever reason; take its record, if it has left one."""
        path = self._run_dir.record(key)
        self._run_dir.fetch(path)
        if path.is_file():
            self._study.take_record(read_record(path))
            self.clear()

    def clear(self) -> None:
        """See ``SearchEngine``."""
        if self._keep:
            return
        members = [self._study.member_segments(event) for event in self._study.suggested.values()]
        pending = (segment for own in members for segment in own if self._is_pending(segment))
        needed = {own[-1].key for own in members} | {segment.parent for segment in pending}
        ended = {s.key for own in members for s in own if s.key in self._study.records}
        for key in ended - needed - self._discarded:
            discard(self._run_dir, key)
            self._discarded.add(key)

    def _is_pending(self, segment: SegmentStarted) -> bool:
        """Whether it is to be trained; also if it failed, unless its member was replaced."""
        status = self._study.status(segment.key)
        if status is not TrialStatus.FAILED:
            return status is TrialStatus.UNFINISHED
        following = self._study.segments(segment.group, segment.generation + 1)
        return all(other.member != segment.member for other in following)

    def _pending(self, groups: list[Group], generation: int) -> list[PendingSegment]:
        pending: dict[str, PendingSegment] = {}
        for group in groups:
            for segment in self._study.segments(group.name, generation):
                if segment.key not in pending and self._is_pending(segment):
                    trial = self._plan.trial(
                        group, segment.settings, segment.changes, segment.generation
                    )
                    pending[segment.key] = PendingSegment(segment, trial)
        return list(pending.values())

    def decisions(self, group: Group, generation: int) -> list[SegmentStarted]:
        """Who goes on from whom, for the members that have not been decided on yet.

        It follows from the ledger: from the scores of all members after the generation before.
        Members that ended badly and have nobody to copy do not go on.
        """
        if generation == 0:
            return []
        study, seed = self._study, self._study.description.tune.seed
        before = {s.member: s for s in study.segments(group.name, generation - 1)}
        decided = {segment.member for segment in study.segments(group.name, generation)}
        undecided = sorted(before.keys() - decided)
        if not undecided:
            return []
        scores = [study.member_score(segment) for segment in before.values()]
        sources = exploit(scores, seed, generation)
        scored = {score.member for score in scores if score.score is not None}
        return [
            self._next_segment(group, before[source], member, generation)
            for member in undecided
            if (source := sources.get(member, member)) in scored
        ]

    def _next_segment(
        self, group: Group, source: SegmentStarted, member: int, generation: int
    ) -> SegmentStarted:
        tune, space = self._study.description.tune, self._study.description.space
        changes = source.changes
        if source.member != member:
            keys = changeable(space, group.facts, group.name)
            new = explore(space, keys, in_force(source), tune.seed, generation, member)
            values = {key.removeprefix("training."): value for key, value in new.items()}
            if values:
                at = generation / tune.parts
                changes += (SettingChange.model_validate({"at": at, "training": values}),)
        trial = self._plan.trial(group, source.settings, changes, generation)
        return SegmentStarted(
            group=group.name,
            member=member,
            generation=generation,
            key=trial.key,
            settings=source.settings,
            changes=changes,
            parent=source.key,
            source=source.member,
            examples=trial.expected_examples,
        )


class SegmentScheduler(TrialScheduler):
    """Lets every segment end, unless the time budget is exhausted.

    Args:
        driver: takes the records of the segments.
        time_budget: when it is exhausted, segments end unfinished.
    """

    def __init__(self, driver: PbtDriver, time_budget: TimeBudget) -> None:
        self._driver = driver
        self._time_budget = time_budget

    def on_trial_result(self, trial: PlannedTrial, result: Mapping[str, Any]) -> Decision:
        """See ``TrialScheduler``."""
        return "stop" if self._time_budget.exhausted else "continue"

    def on_trial_complete(self, trial: PlannedTrial) -> None:
        """See ``TrialScheduler``."""
        self._driver.ended(trial.key)


def groups_at_once(tune: TuneConfig, groups: int, slots: int) -> int:
    """How many groups are trained side by side, so that a machine is busy and its disk not full.

    Members that wait for others of their group keep a checkpoint, so it is no more groups than are
    needed to use all slots. Where time may run out, it is all of them, so that none stays behind.
    """
    if tune.max_hours is not None:
        return groups
    return min(groups, -(-slots // tune.trials))


def waiting_checkpoints(tune: TuneConfig, groups: int, slots: int, *, keep: bool) -> int:
    """The most checkpoints of segments that have ended, at a time; all of them with ``keep``."""
    if keep:
        return groups * tune.trials * (tune.parts - 1)
    return groups_at_once(tune, groups, slots) * tune.trials + slots
