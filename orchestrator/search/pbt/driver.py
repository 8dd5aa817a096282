"""Which segments of a population are trained next, whoever trains them. Knows nothing of Ray.

Generations are synchronous: all members of a group end a part of training before the next one
begins, so what a search does follows from its seed and records, not from who was faster.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from orchestrator.config.search import TuneConfig
from orchestrator.planning.plan import PlannedTrial
from orchestrator.search.ledger import SegmentStarted
from orchestrator.search.pbt.algorithm import changeable, exploit, explore
from orchestrator.search.pbt.state import Population, in_force
from orchestrator.search.plan import Group, SearchPlan
from orchestrator.search.suggest import Suggester
from orchestrator.search.time_budget import TimeBudget
from trainables.config.schedules import SettingChange
from trainables.results.record import read_record
from trainables.storage.run_dir import RunDir
from trainables.trial.cleanup import discard


@dataclass(frozen=True)
class PendingSegment:
    """A segment that is to be trained.

    Attributes:
        segment: what the ledger says of it.
        trial: the trial that trains it.
        examples: training examples of this part alone, as expected.
        before: training examples of the segments that it goes on from.
    """

    segment: SegmentStarted
    trial: PlannedTrial
    examples: int
    before: int


class PbtDriver:
    """Gives what is to be trained, round by round, and decides after each who goes on from whom.

    Every decision is in the ledger before a trial starts that stands on it, and can be made again
    from the records, so an interrupted search goes on to the same end.

    Args:
        state: the search.
        plan: makes trials of settings.
        proposing: gives the settings that members start with.
        layout: the folder of the trials.
        ending: whether the search is to end before its time.
        keep: whether checkpoints stay that nobody needs.
    """

    def __init__(
        self,
        state: Population,
        plan: SearchPlan,
        proposing: Suggester,
        layout: RunDir,
        ending: TimeBudget,
        *,
        keep: bool,
    ) -> None:
        self._state = state
        self._plan = plan
        self._proposing = proposing
        self._layout = layout
        self._ending = ending
        self._keep = keep
        self._discarded: set[str] = set()

    def more(self) -> bool:
        """Whether ``rounds`` has anything to give, unless the search's time is up."""
        return self._proposing.any_new() or any(self._open(name) for name in self._state.groups)

    def _open(self, name: str) -> bool:
        """Whether a member of a group is to be trained, as far as the records tell."""
        last = self._state.generations - 1
        newest = [self._state.line(event)[-1] for event in self._state.trials_of(name)]
        by_generation = {one.generation for one in newest if one.generation < last}
        return any(self._is_due(one) for one in newest) or any(
            self._state.status(one.key) == "finished"
            for generation in by_generation
            for one in self._state.segments(name, generation)
        )

    def rounds(self, at_once: int) -> Iterator[list[PendingSegment]]:
        """What is to be trained, a generation at a time.

        After each round, all of it has been trained, or the search is over for now.

        Args:
            at_once: how many groups are trained side by side (see ``groups_at_once``).
        """
        while self._proposing.new() is not None:
            pass
        groups = iter(self._state.groups.values())
        while some := list(islice(groups, at_once)):
            for generation in range(self._state.generations):
                if self._ending.now:
                    return
                for group in some:
                    self._breed(group, generation)
                self.clear()
                due = self._due(some, generation)
                if due:
                    yield due
                    for one in due:
                        self.ended(one.trial.key)
                    if any(self._state.status(one.trial.key) == "unfinished" for one in due):
                        return

    def ended(self, key: str) -> None:
        """A trial has ended, for whatever reason; it may have left a record."""
        path = self._layout.record(key)
        self._layout.fetch(path)
        if path.is_file():
            self._state.records[key] = read_record(path)
            self.clear()

    def clear(self) -> None:
        """Remove the checkpoints from which nobody goes on."""
        if self._keep:
            return
        lines = [self._state.line(event) for event in self._state.proposed.values()]
        waiting = (one for line in lines for one in line if self._is_due(one))
        needed = {line[-1].key for line in lines} | {one.parent for one in waiting}
        past = {one.key for line in lines for one in line if one.key in self._state.records}
        for key in past - needed - self._discarded:
            discard(self._layout, key)
            self._discarded.add(key)

    def _is_due(self, segment: SegmentStarted) -> bool:
        """Whether it is to be trained: also one that failed, unless its member was replaced."""
        status = self._state.status(segment.key)
        if status != "failed":
            return status == "unfinished"
        following = self._state.segments(segment.group, segment.generation + 1)
        return all(one.member != segment.member for one in following)

    def _due(self, groups: list[Group], generation: int) -> list[PendingSegment]:
        found: dict[str, PendingSegment] = {}
        for group in groups:
            for segment in self._state.segments(group.name, generation):
                if segment.key not in found and self._is_due(segment):
                    found[segment.key] = self._as_due(segment, group)
        return list(found.values())

    def _as_due(self, segment: SegmentStarted, group: Group) -> PendingSegment:
        trial = self._plan.trial(group, segment.settings, segment.changes, segment.generation)
        record = None if segment.parent is None else self._state.records.get(segment.parent)
        before = 0 if record is None else record.examples
        return PendingSegment(
            segment, trial, max(1, segment.examples // self._state.generations), before
        )

    def _breed(self, group: Group, generation: int) -> None:
        """Let the members of a group that have ended a part go on with ``generation``, the next."""
        if generation == 0:
            return
        state, tune = self._state, self._state.description.tune
        before = {one.member: one for one in state.segments(group.name, generation - 1)}
        there = {one.member for one in state.segments(group.name, generation)}
        if before.keys() <= there:
            return
        standings = [state.standing(segment) for segment in before.values()]
        sources = exploit(standings, tune.seed, generation)
        sound = {one.member for one in standings if one.score is not None}
        for member in sorted(before.keys() - there):
            source = sources.get(member, member)
            if source in sound:
                state.add(self._continued(group, before[source], member, generation))

    def _continued(
        self, group: Group, source: SegmentStarted, member: int, generation: int
    ) -> SegmentStarted:
        tune, space = self._state.description.tune, self._state.description.space
        changes = source.changes
        if source.member != member:
            keys = changeable(space, group.facts, group.name)
            new = explore(space, keys, in_force(source), tune.seed, generation, member)
            values = {key.removeprefix("training."): value for key, value in new.items()}
            if values:
                at = generation / tune.generations
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


def groups_at_once(tune: TuneConfig, groups: int, slots: int) -> int:
    """How many groups are trained side by side, so that a machine is busy and its disk not full.

    Members that wait for others of their group keep a checkpoint, so it is no more groups than are
    needed to use all slots. Where time may run out, it is all of them, so that none stays behind.
    """
    if tune.max_hours is not None:
        return groups
    return min(groups, -(-slots // tune.trials))


def waiting_checkpoints(tune: TuneConfig, groups: int, slots: int, *, keep: bool) -> int:
    """The most checkpoints that there are at a time of segments that have ended."""
    if keep:
        return groups * tune.trials * (tune.generations - 1)
    return groups_at_once(tune, groups, slots) * tune.trials + slots
