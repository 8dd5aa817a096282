"""Where a search by population based training stands.

A trial that was suggested is a member of its group's population. It is trained in segments, one for
each generation; a segment may go on from another member's, and then has that member's settings.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.monitor.forecast import Slot
from orchestrator.search.best_trial import Incumbent
from orchestrator.search.ledger import Event, Ledger, SegmentStarted, TrialSuggested
from orchestrator.search.pbt.algorithm import MemberScore
from orchestrator.search.study import REASONS, Description, Study
from orchestrator.search.summary import SOUND, TrialSummary
from search_spaces.searchers import Observation
from trainables.results.record import TrialRecord
from trainables.results.status import TrialStatus


class Population(Study):
    """A search in which the members of a group are trained segment by segment; see ``Study``."""

    def __init__(
        self, description: Description, ledger: Ledger, records: Mapping[str, TrialRecord]
    ) -> None:
        self._member_segments: dict[str, list[SegmentStarted]] = {}
        self._trained_by: dict[str, str] = {}
        super().__init__(description, ledger, records)

    def take(self, event: Event) -> None:
        """See ``Study``."""
        if isinstance(event, SegmentStarted):
            self._check_group(event.group)
            trials = self.trials_of(event.group)
            start = trials[event.member].key if event.member < len(trials) else ""
            if len(self._member_segments.get(start, ())) != event.generation:
                raise self._foreign(f"goes on with trial {event.member} of {event.group} too early")
            self._extend(start, event)
            return
        super().take(event)
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
        self._member_segments.setdefault(start, []).append(segment)
        # Members with the same settings all the way share their segments, which are trained once.
        self._trained_by.setdefault(segment.key, start)

    def trial_keys(self) -> Iterable[str]:
        """See ``Study``; every segment is a trial."""
        return self._trained_by.keys()

    def slots(self) -> list[Slot]:
        """See ``Study``."""
        segments = (segment for own in self._member_segments.values() for segment in own)
        return [(segment.group, segment.member, segment.generation) for segment in segments]

    @property
    def generations(self) -> int:
        """Number of segments of a whole training."""
        return self.description.tune.parts

    def member_segments(self, event: TrialSuggested) -> list[SegmentStarted]:
        """The segments of a member so far, the first one first."""
        return self._member_segments[event.key]

    def segments(self, group: str, generation: int) -> list[SegmentStarted]:
        """The segments of a generation so far, one per member, in the order of the members."""
        members = map(self.member_segments, self.trials_of(group))
        return [own[generation] for own in members if len(own) > generation]

    def member_score(self, segment: SegmentStarted) -> MemberScore:
        """The score of a member after a segment that has ended."""
        end = self.ended[segment.key]
        if end.score is None or end.loss is None:
            return MemberScore(segment.member, None)
        return MemberScore(segment.member, end.score, end.loss)

    def _last_keys(self) -> Iterable[str]:
        """See ``Study``: the newest segments, whose members have not been replaced."""
        return dict.fromkeys(own[-1].key for own in self._member_segments.values())

    def observations(self, group: str) -> list[Observation]:
        """None: a member owes its score to all settings that it had, not to its last ones."""
        return []

    def trial_summary(self, event: TrialSuggested) -> TrialSummary:
        """A member, for the report: with the settings of its newest segment."""
        segments = self.member_segments(event)
        newest = segments[-1]
        spent, seconds, trained = 0, 0.0, 0
        rungs: list[tuple[int, float]] = []
        for segment in segments:
            record = self.records.get(segment.key)
            if record is None:
                continue
            if self._trained_by[segment.key] == event.key:
                spent += record.examples - record.inherited
                seconds += record.train_seconds - record.inherited_seconds
            score = self.member_score(segment).score
            if score is not None:
                trained = segment.generation + 1
                rungs.append((spent, score))
        missing = round(newest.examples * (self.generations - trained) / self.generations)
        return TrialSummary(
            index=event.number,
            key=newest.key,
            settings=in_force(newest),
            status=self._member_status(newest),
            reason=self._reason(segments),
            score=self._newest_score(newest),
            examples=spent,
            full=max(spent + missing, 1),
            seconds=seconds,
            rungs=tuple(rungs),
            schedule=schedule(newest),
        )

    def _member_status(self, newest: SegmentStarted) -> TrialStatus:
        status = self.status(newest.key)
        whole = newest.generation == self.generations - 1
        if status is TrialStatus.FINISHED and not whole:
            return TrialStatus.UNFINISHED
        return status

    def _reason(self, segments: list[SegmentStarted]) -> str:
        status, record = self._member_status(segments[-1]), self.records.get(segments[-1].key)
        reason = REASONS.get(status) or (record and record.error) or status
        for segment, before in zip(segments[1:], segments, strict=False):
            if segment.source != segment.member:
                ended = self.status(before.key)
                why = f", where it {ended}" if ended in ("failed", "diverged") else ""
                reason += f"; a copy of {segment.source} after part {segment.generation}{why}"
        return reason

    def _newest_score(self, newest: SegmentStarted) -> float | None:
        """The last score of the weights that a member has. None if there is no score."""
        keys = (newest.key, newest.parent) if newest.key not in self.records else (newest.key,)
        scores = (self.score(key) for key in keys if key is not None)
        return next((score for score in scores if score is not None), None)

    def _scored_segment(self, event: TrialSuggested) -> SegmentStarted | None:
        """The newest segment of a member with a score. None if it has none, or ended badly."""
        segments = self.member_segments(event)
        if self.status(segments[-1].key) not in SOUND:
            return None
        finished = [segment for segment in segments if self.status(segment.key) == "finished"]
        return finished[-1] if finished else None

    def _ranking(self, group: str) -> list[int]:
        """The members that came furthest, by the score after the same segment; see ``Study``."""
        segments = [
            segment
            for event in self.trials_of(group)
            if (segment := self._scored_segment(event)) is not None
        ]
        furthest = max((segment.generation for segment in segments), default=0)
        members = [self.member_score(s) for s in segments if s.generation == furthest]
        ranked = sorted(members, key=lambda m: (-(m.score or 0.0), m.loss, m.member))
        return [member.member for member in ranked]

    def _incumbent(self, event: TrialSuggested) -> Incumbent:
        segment = self._scored_segment(event)
        assert segment is not None, "it was chosen for its score"
        return Incumbent(segment.settings, segment.changes)


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
