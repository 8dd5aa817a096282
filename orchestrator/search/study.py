"""Where a search stands: what was proposed, measured and decided, and how trials ended.

Everything follows from the description, the ledger and the records, so a search that goes on after
an interruption stands where it stood, and a report needs nothing else. Knows nothing of Ray.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from orchestrator.config.search import TuneConfig
from orchestrator.search.best_trial import Incumbent, chosen
from orchestrator.search.ledger import Event, Ledger, ScoreReported, SegmentStarted, TrialSuggested
from orchestrator.search.plan import Group
from orchestrator.search.rungs import reached
from orchestrator.search.summary import GroupSummary, SearchSummary, TrialSummary
from search_spaces.searchers import Observation, importances
from search_spaces.space import Space
from trainables.config.base import Settings
from trainables.errors import RunDirectoryError
from trainables.results.record import TrialRecord, mean_loss, measured

REASONS = {
    "finished": "trained to the end",
    "stopped": "stopped by the scheduler",
    "unfinished": "not trained to the end yet",
}


class Description(Settings):
    """What is searched and how: ``search.json`` in the folder of a search."""

    schema_version: Literal[1] = 1
    space: Space
    tune: TuneConfig
    groups: tuple[Group, ...]


class SearchState:
    """A search that runs, or that has run.

    Attributes:
        description: what is searched.
        groups: name -> group.
        proposed: key -> the trial's settings, in the order in which they were proposed.
        measured: key -> the trial's measurements in order.
        history: all measurements in the order in which they came.
        records: key -> record.

    Args:
        description: what is searched.
        ledger: what was decided before; what ``add`` is given is added to it.
        records: key -> record, of the search's trials.

    Raises:
        RunDirectoryError: the ledger is damaged, or of another search.
    """

    def __init__(
        self, description: Description, ledger: Ledger, records: Mapping[str, TrialRecord]
    ) -> None:
        self.description = description
        self.groups = {group.name: group for group in description.groups}
        self.proposed: dict[str, TrialSuggested] = {}
        self.measured: dict[str, list[ScoreReported]] = {}
        self.history: list[ScoreReported] = []
        self.records = dict(records)
        self._ledger = ledger
        for event in ledger.read():
            self._take(event)

    def add(self, event: Event) -> None:
        """Take an event; it is in the ledger when this returns.

        Raises:
            OSError: the storage stays away or full.
        """
        self._ledger.append(event)
        self._take(event)

    def _take(self, event: Event) -> None:
        if isinstance(event, ScoreReported):
            if event.key not in self.proposed:
                raise self._foreign(f"measures the trial {event.key}, which it has not proposed")
            self.measured.setdefault(event.key, []).append(event)
            self.history.append(event)
        elif event.group not in self.groups:
            raise self._foreign(f"names the group {event.group}, which this search has not")
        elif isinstance(event, SegmentStarted):
            raise self._foreign("has a population, which this search has not")
        elif event.key in self.proposed or event.number != len(self.trials_of(event.group)):
            raise self._foreign(f"proposes trial {event.number} of {event.group} out of order")
        else:
            self.proposed[event.key] = event

    def _foreign(self, finding: str) -> RunDirectoryError:
        return RunDirectoryError(
            f"{self._ledger.path}: {finding}; choose another directory with --run-dir"
        )

    def group_of(self, key: str) -> Group:
        """The group of a trial that was proposed."""
        return self.groups[self.proposed[key].group]

    def trials_of(self, group: str) -> list[TrialSuggested]:
        """The trials of a group, in the order in which they were proposed."""
        return [event for event in self.proposed.values() if event.group == group]

    def status(self, key: str) -> str:
        """How a trial stands: one of ``summary.STATUSES``."""
        record = self._record(key)
        if record is not None:
            return record.status
        return "stopped" if self._stopped(key) else "unfinished"

    def _stopped(self, key: str) -> bool:
        return any(event.decision == "stop" for event in self.measured.get(key, ()))

    def _record(self, key: str) -> TrialRecord | None:
        """The record of a trial; that of one which failed, ran again and was stopped is old."""
        return None if self._stopped(key) else self.records.get(key)

    def score(self, key: str) -> float | None:
        """What a trial is worth: its last epoch's headline on ``selection``, else its last rung's.

        None: it was never measured, or it diverged or failed.
        """
        record = self._record(key)
        if record is not None:
            return None if record.status != "finished" else final_score(record)
        events = self.measured.get(key)
        return events[-1].score if events else None

    def loss(self, key: str) -> float | None:
        """Of the measurement that ``score`` is of."""
        record = self._record(key)
        if record is not None:
            return None if record.status != "finished" else final_loss(record)
        events = self.measured.get(key)
        return events[-1].loss if events else None

    def observed(self, group: str) -> list[Observation]:
        """The trials of a group that have ended, for whoever proposes the next."""
        return observed(map(self.tried, self.trials_of(group)), self.groups[group].rungs)

    def tried(self, event: TrialSuggested) -> TrialSummary:
        """A trial, for the report."""
        record = self._record(event.key)
        rungs = self.measured.get(event.key, [])
        status = self.status(event.key)
        seen = rungs[-1] if rungs else None
        return TrialSummary(
            index=event.number,
            key=event.key,
            settings=dict(event.settings),
            status=status,
            reason=REASONS.get(status) or (record and record.error) or status,
            score=self.score(event.key),
            examples=record.examples if record else seen.examples if seen else 0,
            full=event.examples,
            seconds=record.train_seconds if record else seen.seconds if seen else 0.0,
            rungs=tuple((rung.examples, rung.score) for rung in rungs),
        )

    def summary(self) -> SearchSummary:
        """What was tried and chosen, as plain values."""
        tune = self.description.tune
        return SearchSummary(
            space=self.description.space.name,
            search=tune.search,
            scheduler=tune.scheduler,
            seed=tune.seed,
            groups=tuple(self._group(group) for group in self.groups.values()),
        )

    @property
    def failed(self) -> tuple[TrialRecord, ...]:
        """Records of the trials that failed."""
        return tuple(self.records[key] for key in self.proposed if self.status(key) == "failed")

    def chosen(self) -> dict[str, Incumbent]:
        """Name of a group -> what is best; groups of which no trial was measured are left out."""
        found = {}
        for name in self.groups:
            index = self._best(name)
            if index is not None:
                [best] = [event for event in self.trials_of(name) if event.number == index]
                found[name] = self._choice(best)
        return found

    def _choice(self, event: TrialSuggested) -> Incumbent:
        return Incumbent(event.settings)

    def _best(self, group: str) -> int | None:
        trials = self.trials_of(group)
        losses = {event.number: self.loss(event.key) for event in trials}
        return chosen(
            map(self.tried, trials),
            {n: loss for n, loss in losses.items() if loss is not None},
            self.groups[group].rungs,
        )

    def _group(self, group: Group) -> GroupSummary:
        return GroupSummary(
            arm=group.arm,
            label=group.label,
            strategy=group.strategy,
            model=group.model,
            task=group.task,
            metric=group.metric,
            tried=tuple(map(self.tried, self.trials_of(group.name))),
            chosen=self._best(group.name),
            importances=importances(self.description.space, group.facts, self.observed(group.name)),
        )


def observed(tried: Iterable[TrialSummary], rungs: Sequence[int]) -> list[Observation]:
    """Those of a group's trials that have ended, for whoever proposes the next."""
    return [
        Observation(
            one.settings,
            one.status,  # type: ignore[arg-type]
            one.score,
            [(reached(rungs, examples), score) for examples, score in one.rungs],
        )
        for one in tried
        if one.status != "unfinished"
    ]


def final_score(record: TrialRecord) -> float:
    """Headline on ``selection`` of a finished trial; over several tasks, their mean."""
    metrics = measured(record.results["selection"], record.config.tasks)
    if len(record.config.tasks) > 1:
        return metrics["macro"]["headline"]
    [(task, config)] = record.config.tasks.items()
    return metrics[task][config.headline]


def final_loss(record: TrialRecord) -> float:
    """Cross-entropy on ``selection`` of a finished trial, averaged over its tasks."""
    return mean_loss(record.results["selection"].values())
