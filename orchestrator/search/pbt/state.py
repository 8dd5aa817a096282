"""Where a search by population based training stands.

A trial of it is a member of its group's population. Its training is a line of segments, one for
each generation; the segment may go on from another member's, whose settings it then has.
"""

from collections.abc import Mapping
from typing import Any

from orchestrator.search.best_trial import Incumbent
from orchestrator.search.ledger import Event, Ledger, SegmentStarted, TrialSuggested
from orchestrator.search.pbt.algorithm import MemberScore
from orchestrator.search.study import REASONS, Description, SearchState, final_loss, final_score
from orchestrator.search.summary import SOUND, TrialSummary
from search_spaces.searchers import Observation
from trainables.results.record import TrialRecord


class Population(SearchState):
    """A search in which the members of a group are trained part by part; see ``SearchState``."""

    def __init__(
        self, description: Description, ledger: Ledger, records: Mapping[str, TrialRecord]
    ) -> None:
        self._lines: dict[str, list[SegmentStarted]] = {}
        self._trained_by: dict[str, str] = {}
        super().__init__(description, ledger, records)

    def _take(self, event: Event) -> None:
        if isinstance(event, SegmentStarted):
            if event.group not in self.groups:
                raise self._foreign(f"names the group {event.group}, which this search has not")
            trials = self.trials_of(event.group)
            start = trials[event.member].key if event.member < len(trials) else ""
            if len(self._lines.get(start, ())) != event.generation:
                raise self._foreign(f"goes on with trial {event.member} of {event.group} too early")
            self._extend(start, event)
            return
        super()._take(event)
        if isinstance(event, TrialSuggested):
            first = SegmentStarted(
                group=event.group,
                member=event.number,
                generation=0,
                key=event.key,
                settings=event.settings,
                changes=(),
                parent=None,
                source=event.number,
                examples=event.examples,
            )
            self._extend(event.key, first)

    def _extend(self, start: str, segment: SegmentStarted) -> None:
        self._lines.setdefault(start, []).append(segment)
        # Members with the same settings all the way share their segments, which are trained once.
        self._trained_by.setdefault(segment.key, start)

    @property
    def generations(self) -> int:
        """How many parts training has."""
        return self.description.tune.generations

    def line(self, event: TrialSuggested) -> list[SegmentStarted]:
        """The segments of a member so far, the first one first."""
        return self._lines[event.key]

    def segments(self, group: str, generation: int) -> list[SegmentStarted]:
        """Those of a generation that are known, in the order of the members."""
        lines = map(self.line, self.trials_of(group))
        return [line[generation] for line in lines if len(line) > generation]

    def standing(self, segment: SegmentStarted) -> MemberScore:
        """A member at the end of a segment, which has a record."""
        record = self.records[segment.key]
        if record.status != "finished":
            return MemberScore(segment.member, None)
        return MemberScore(segment.member, final_score(record), final_loss(record))

    @property
    def failed(self) -> tuple[TrialRecord, ...]:
        """Of the members that failed and have not been replaced."""
        keys = dict.fromkeys(line[-1].key for line in self._lines.values())
        return tuple(self.records[key] for key in keys if self.status(key) == "failed")

    def observed(self, group: str) -> list[Observation]:
        """Nothing: what a member scored it owes to all settings that it had, not to its last."""
        return []

    def tried(self, event: TrialSuggested) -> TrialSummary:
        """A member, for the report: with the settings of its newest segment."""
        line = self.line(event)
        newest = line[-1]
        spent, seconds, done = 0, 0.0, 0
        rungs: list[tuple[int, float]] = []
        for segment in line:
            record = self.records.get(segment.key)
            if record is None:
                continue
            if self._trained_by[segment.key] == event.key:
                spent += record.examples - record.inherited
                seconds += record.train_seconds - record.inherited_seconds
            if record.status == "finished":
                done = segment.generation + 1
                rungs.append((spent, final_score(record)))
        left = round(newest.examples * (self.generations - done) / self.generations)
        return TrialSummary(
            index=event.number,
            key=newest.key,
            settings=in_force(newest),
            status=self._member_status(newest),
            reason=self._reason(line),
            score=self._worth(newest),
            examples=spent,
            full=max(spent + left, 1),
            seconds=seconds,
            rungs=tuple(rungs),
            schedule=schedule(newest),
        )

    def _member_status(self, newest: SegmentStarted) -> str:
        status = self.status(newest.key)
        whole = newest.generation == self.generations - 1
        return "unfinished" if status == "finished" and not whole else status

    def _reason(self, line: list[SegmentStarted]) -> str:
        status, record = self._member_status(line[-1]), self.records.get(line[-1].key)
        reason = REASONS.get(status) or (record and record.error) or status
        for segment, before in zip(line[1:], line, strict=False):
            if segment.source != segment.member:
                ended = self.status(before.key)
                why = f", where it {ended}" if ended in ("failed", "diverged") else ""
                reason += f"; a copy of {segment.source} after part {segment.generation}{why}"
        return reason

    def _worth(self, newest: SegmentStarted) -> float | None:
        """The score that was measured last of the weights that a member has."""
        keys = (newest.key, newest.parent) if newest.key not in self.records else (newest.key,)
        scores = (self.score(key) for key in keys if key is not None)
        return next((score for score in scores if score is not None), None)

    def _measured(self, event: TrialSuggested) -> SegmentStarted | None:
        """The newest segment of a member with a score; none: it has none, or ended badly."""
        line = self.line(event)
        if self.status(line[-1].key) not in SOUND:
            return None
        finished = [segment for segment in line if self.status(segment.key) == "finished"]
        return finished[-1] if finished else None

    def _best(self, group: str) -> int | None:
        """The best of the members that came furthest, by the score after as many parts."""
        trials = self.trials_of(group)
        rivals = [found for event in trials if (found := self._measured(event)) is not None]
        furthest = max((segment.generation for segment in rivals), default=0)
        standings = [self.standing(one) for one in rivals if one.generation == furthest]
        best = min(
            standings, key=lambda one: (-(one.score or 0.0), one.loss, one.member), default=None
        )
        return None if best is None else best.member

    def _choice(self, event: TrialSuggested) -> Incumbent:
        found = self._measured(event)
        assert found is not None, "it was chosen for its score"
        return Incumbent(found.settings, found.changes)


def in_force(segment: SegmentStarted) -> dict[str, Any]:
    """The settings with which a segment is trained: dotted key -> value."""
    settings: dict[str, Any] = dict(segment.settings)
    for change in segment.changes:
        settings |= {f"training.{name}": value for name, value in change.training.items()}
    return settings


def schedule(segment: SegmentStarted) -> tuple[tuple[float, dict[str, Any]], ...]:
    """See ``TrialSummary.schedule``."""
    if not segment.changes:
        return ()
    changes = (
        (change.at, {f"training.{name}": value for name, value in change.training.items()})
        for change in segment.changes
    )
    return ((0.0, dict(segment.settings)), *changes)
