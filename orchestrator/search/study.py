"""Where a search stands: what was suggested, reported and decided, and how trials ended.

All of it follows from the description, the ledger and the records of a search's folder, so a search
that goes on after an interruption stands where it stood, and a report needs nothing else. Knows
nothing of Ray.
"""

import json
from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any, Literal

from pydantic import field_validator

from orchestrator.config.search import TuneConfig, TunedExperimentConfig
from orchestrator.monitor.forecast import SearchedGroup, SearchForecast, Slot
from orchestrator.monitor.live_view import LiveView
from orchestrator.search.best_trial import Incumbent, ranking
from orchestrator.search.ledger import (
    Event,
    Ledger,
    RerunStarted,
    ScoreReported,
    SegmentStarted,
    TrialEnded,
    TrialSuggested,
)
from orchestrator.search.plan import Group
from orchestrator.search.rungs import reached
from orchestrator.search.summary import GroupSummary, SearchSummary, TrialSummary
from search_spaces.searchers import Observation, importances
from search_spaces.space import Space
from trainables.config.base import Settings, used_settings
from trainables.errors import ConfigError, RunDirectoryError
from trainables.results.metrics import macro
from trainables.results.record import (
    TrialRecord,
    mean_loss,
    read_checksummed,
    write_checksummed,
)
from trainables.results.status import TrialStatus
from trainables.storage.run_dir import RunDir

REASONS = {
    TrialStatus.FINISHED: "trained to the end",
    TrialStatus.STOPPED: "stopped by the scheduler",
    TrialStatus.UNFINISHED: "not trained to the end yet",
}


class Description(Settings):
    """What is searched and how: ``search.json`` in the folder of a search."""

    schema_version: Literal[1] = 1
    space: Space
    tune: TuneConfig
    groups: tuple[Group, ...]

    @field_validator("tune", mode="before")
    @classmethod
    def _without_unused(cls, values: Any) -> Any:
        """Earlier versions accepted settings that the scheduler does not use; none re-ranked."""
        if not isinstance(values, dict):
            return values
        return used_settings(TuneConfig, {"rerank": None} | values)


class Study:
    """A search that runs, or that has run.

    Attributes:
        description: what is searched.
        groups: name -> group.
        suggested: key -> the trial as it was suggested, in the order of the suggestions.
        reruns: key -> the trial with which settings are ranked again.
        reports: key -> the trial's reports in order.
        history: the reports of all trials in the order in which they came.
        ended: key -> how the trial ended, for trials that left a record.
        records: key -> record, of the search's trials.

    Args:
        description: what is searched.
        ledger: the decisions and reports so far; ``add`` appends to it.
        records: key -> record.

    Raises:
        RunDirectoryError: the ledger is damaged, or of another search.
    """

    def __init__(
        self, description: Description, ledger: Ledger, records: Mapping[str, TrialRecord]
    ) -> None:
        self.description = description
        self.groups = {group.name: group for group in description.groups}
        self.suggested: dict[str, TrialSuggested] = {}
        self.reruns: dict[str, RerunStarted] = {}
        self.reports: dict[str, list[ScoreReported]] = {}
        self.history: list[ScoreReported] = []
        self.ended: dict[str, TrialEnded] = {}
        self.records = dict(records)
        self._ledger = ledger
        for event in ledger.read():
            self.take(event)

    def add(self, event: Event) -> None:
        """Add an event to the ledger and take it; it is on the disk when this returns.

        Raises:
            OSError: the storage stays away or full.
        """
        self._ledger.append(event)
        self.take(event)

    def take(self, event: Event) -> None:
        """Bring the study up to date with an event of its ledger.

        Raises:
            RunDirectoryError: the event cannot be one of this search.
        """
        match event:
            case ScoreReported():
                if event.key not in self.trial_keys():
                    raise self._foreign(f"reports on trial {event.key}, which was never suggested")
                self.reports.setdefault(event.key, []).append(event)
                self.history.append(event)
            case TrialEnded():
                if event.key not in self.reruns and event.key not in self.trial_keys():
                    raise self._foreign(f"ends trial {event.key}, which was never suggested")
                self.ended[event.key] = event
            case SegmentStarted():
                raise self._foreign("has a population, which this search has not")
            case RerunStarted():
                self._check_group(event.group)
                if event.number >= len(self.trials_of(event.group)):
                    raise self._foreign(f"reruns trial {event.number} of {event.group} too early")
                self.reruns[event.key] = event
            case TrialSuggested():
                self._check_group(event.group)
                known = event.key in self.suggested
                if known or event.number != len(self.trials_of(event.group)):
                    raise self._foreign(
                        f"suggests trial {event.number} of {event.group} out of order"
                    )
                self.suggested[event.key] = event

    def take_record(self, record: TrialRecord) -> None:
        """Take the record that a trial has left; its end is in the ledger when this returns.

        Raises:
            OSError: the storage stays away or full.
        """
        self.records[record.key] = record
        self.catch_up()

    def catch_up(self, *, write: bool = True) -> None:
        """Take the ends of trials that their records tell and the ledger does not.

        Such trials ended while the search was being killed, or under a version whose ledger had no
        such lines.

        Args:
            write: whether the ledger is told too; else it is only read.

        Raises:
            OSError: the storage stays away or full.
        """
        for key in (*self.trial_keys(), *self.reruns):
            record = self.records.get(key)
            if record is None or self._was_stopped(key):
                continue
            event = end_of(record)
            if self.ended.get(key) != event:
                (self.add if write else self.take)(event)

    def _check_group(self, name: str) -> None:
        if name not in self.groups:
            raise self._foreign(f"names the group {name}, which this search has not")

    def _foreign(self, finding: str) -> RunDirectoryError:
        return RunDirectoryError(
            f"{self._ledger.path}: {finding}; choose another directory with --run-dir"
        )

    def trial_keys(self) -> Iterable[str]:
        """Keys of the trials that the search has decided to train, in that order."""
        return self.suggested.keys()

    def slots(self) -> list[Slot]:
        """Group, number and part of the trials that the search has decided to train."""
        return [(event.group, event.number, 0) for event in self.suggested.values()]

    def group_of(self, key: str) -> Group:
        """The group of a trial that was suggested."""
        return self.groups[self.suggested[key].group]

    def trials_of(self, group: str) -> list[TrialSuggested]:
        """The trials of a group, in the order in which they were suggested."""
        return [event for event in self.suggested.values() if event.group == group]

    def status(self, key: str) -> TrialStatus:
        """Where a trial stands; one whose record has been lost is unfinished."""
        if self._was_stopped(key):
            return TrialStatus.STOPPED
        end = self._end(key)
        return TrialStatus.UNFINISHED if end is None else TrialStatus(end.status)

    def _was_stopped(self, key: str) -> bool:
        return any(report.decision == "stop" for report in self.reports.get(key, ()))

    def _record(self, key: str) -> TrialRecord | None:
        """The record of a trial; that of one that failed, ran again and was stopped is old."""
        return None if self._was_stopped(key) else self.records.get(key)

    def _end(self, key: str) -> TrialEnded | None:
        """How a trial ended. None if it has no record that counts."""
        return None if self._record(key) is None else self.ended.get(key)

    def score(self, key: str) -> float | None:
        """A trial's headline on ``selection`` after its last epoch, else in its last report.

        None if there is no report, or the trial diverged or failed.
        """
        last = self._last(key)
        return None if last is None else last.score

    def loss(self, key: str) -> float | None:
        """The loss that was measured with ``score``. None if there is no score."""
        last = self._last(key)
        return None if last is None else last.loss

    def _last(self, key: str) -> TrialEnded | ScoreReported | None:
        """What gives a trial its score. None if nothing has come from it."""
        reports = self.reports.get(key)
        return self._end(key) or (reports[-1] if reports else None)

    def observations(self, group: str) -> list[Observation]:
        """The trials of a group that have ended by the ledger, for a search method."""
        observations = []
        for event in self.trials_of(group):
            key, end = event.key, self.ended.get(event.key)
            rungs = self._rungs(key, group)
            if self._was_stopped(key):
                stopped = TrialStatus.STOPPED
                observations.append(Observation(event.settings, stopped, rungs=rungs))
            elif end is not None:
                status = TrialStatus(end.status)
                observations.append(Observation(event.settings, status, end.score, rungs))
        return observations

    def _rungs(self, key: str, group: str) -> list[tuple[int, float]]:
        """(number of the rung, score) of a trial's reports."""
        rungs, reports = self.groups[group].rungs, self.reports.get(key, ())
        return [(reached(rungs, report.examples), report.score) for report in reports]

    def trial_summary(self, event: TrialSuggested) -> TrialSummary:
        """A trial, for the report."""
        record, reports = self._record(event.key), self.reports.get(event.key, [])
        status = self.status(event.key)
        last = reports[-1] if reports else None
        return TrialSummary(
            index=event.number,
            key=event.key,
            settings=dict(event.settings),
            status=status,
            reason=REASONS.get(status) or (record and record.error) or status,
            score=self.score(event.key),
            examples=record.examples if record else last.examples if last else 0,
            full=event.examples,
            seconds=record.train_seconds if record else last.seconds if last else 0.0,
            rungs=tuple((report.examples, report.score) for report in reports),
        )

    def summary(self) -> SearchSummary:
        """All trials and the best ones, as plain values."""
        tune = self.description.tune
        return SearchSummary(
            space=self.description.space.name,
            search=tune.search,
            scheduler=tune.scheduler,
            seed=tune.seed,
            groups=tuple(self._group_summary(group) for group in self.groups.values()),
        )

    @property
    def failed(self) -> tuple[TrialRecord, ...]:
        """Records of the trials that failed."""
        keys = (*self._last_keys(), *self.reruns)
        return tuple(self.records[key] for key in keys if self.status(key) is TrialStatus.FAILED)

    def _last_keys(self) -> Iterable[str]:
        """Keys of the trials whose failure is one of the search."""
        return self.suggested.keys()

    def incumbents(self) -> dict[str, Incumbent]:
        """Name of a group -> its best settings; groups without a score are left out."""
        incumbents = {}
        for name in self.groups:
            number = self._chosen(name)
            if number is not None:
                incumbents[name] = self.incumbent(name, number)
        return incumbents

    def incumbent(self, group: str, number: int) -> Incumbent:
        """The settings of a trial that has a score."""
        return self._incumbent(self.trials_of(group)[number])

    def _incumbent(self, event: TrialSuggested) -> Incumbent:
        return Incumbent(event.settings)

    def to_rerank(self, group: str) -> list[int]:
        """Numbers of the trials whose settings are ranked again, the search's best one first.

        Empty where re-ranking is off or fewer than two different settings were trained to the end.
        """
        rerank = self.description.tune.rerank
        if rerank is None:
            return []
        trials = self.trials_of(group)
        different: list[tuple[int, Incumbent]] = []
        for number in self._ranking(group):
            finished = self.trial_summary(trials[number]).status is TrialStatus.FINISHED
            settings = self.incumbent(group, number)
            if finished and all(settings != other for _, other in different):
                different.append((number, settings))
        return [number for number, _ in different[: rerank.top]] if len(different) > 1 else []

    def _reranked(self, group: str) -> dict[int, tuple[float, float]] | None:
        """Number of a trial -> mean score and loss of its settings over the new seeds.

        Settings are left out of which a trial diverged or failed. None until all have ended.
        """
        rerank, means = self.description.tune.rerank, {}
        numbers = self.to_rerank(group)
        if rerank is None or not numbers:
            return None
        for number in numbers:
            keys = [e.key for e in self._reruns_of(group) if e.number == number][: rerank.seeds]
            ends = [end for key in keys if (end := self._end(key)) is not None]
            if len(ends) < rerank.seeds:
                return None
            scores = [(e.score, e.loss) for e in ends if e.score is not None and e.loss is not None]
            if len(scores) == rerank.seeds:
                means[number] = (fmean(s for s, _ in scores), fmean(loss for _, loss in scores))
        return means

    def _reruns_of(self, group: str) -> list[RerunStarted]:
        return [event for event in self.reruns.values() if event.group == group]

    def _chosen(self, group: str) -> int | None:
        """Number of the trial whose settings are taken: re-ranked, else the search's best."""
        means = self._reranked(group)
        if means:
            return min(means, key=lambda number: (-means[number][0], means[number][1]))
        return next(iter(self._ranking(group)), None)

    def _ranking(self, group: str) -> list[int]:
        """Numbers of the trials whose settings may be taken, by the search; the best one first."""
        trials = self.trials_of(group)
        losses = {event.number: self.loss(event.key) for event in trials}
        return ranking(
            map(self.trial_summary, trials),
            {number: loss for number, loss in losses.items() if loss is not None},
            self.groups[group].rungs,
        )

    def _group_summary(self, group: Group) -> GroupSummary:
        observations = self.observations(group.name)
        return GroupSummary(
            arm=group.arm,
            label=group.label,
            strategy=group.strategy,
            model=group.model,
            task=group.task,
            metric=group.metric,
            tried=tuple(map(self.trial_summary, self.trials_of(group.name))),
            chosen=self._chosen(group.name),
            importances=importances(self.description.space, group.facts, observations),
            reruns=tuple(map(self._rerun_summary, self._reruns_of(group.name))),
            reranked=bool(self._reranked(group.name)),
        )

    def _rerun_summary(self, event: RerunStarted) -> TrialSummary:
        """A trial with a new seed, under the number of the one with the search's seed."""
        record, status = self.records.get(event.key), self.status(event.key)
        return TrialSummary(
            index=event.number,
            key=event.key,
            settings=self.trial_summary(self.trials_of(event.group)[event.number]).settings,
            status=status,
            reason=REASONS.get(status) or (record and record.error) or status,
            score=self.score(event.key),
            examples=record.examples if record else 0,
            full=event.examples,
            seconds=record.train_seconds if record else 0.0,
            rungs=(),
            seed=event.seed,
        )


def forecast_of(study: Study, view: LiveView) -> SearchForecast:
    """Show the trials of a search that are still to come in a live view."""
    tune = study.description.tune
    groups = [SearchedGroup(g.name, g.model, g.budget) for g in study.groups.values()]
    forecast = SearchForecast(view)
    forecast.describe(groups, tune.trials, tune.max_trials, tune.parts, study.slots())
    return forecast


def end_of(record: TrialRecord) -> TrialEnded:
    """What the ledger says of a trial's end."""
    if record.status != "finished":
        return TrialEnded(key=record.key, status=record.status, score=None, loss=None)
    score, loss = final_score(record), final_loss(record)
    return TrialEnded(key=record.key, status=TrialStatus.FINISHED, score=score, loss=loss)


def final_score(record: TrialRecord) -> float:
    """Headline on ``selection`` of a finished trial; over several tasks, their mean."""
    tasks, results = record.config.tasks, record.results["selection"]
    score = macro([results[name].score(task.headline) for name, task in tasks.items()])
    # Only a record of an earlier version is without: it scored 0 then.
    return 0.0 if score is None else score


def final_loss(record: TrialRecord) -> float:
    """Cross-entropy on ``selection`` of a finished trial, averaged over its tasks."""
    return mean_loss(record.results["selection"].values())


def describe_search(
    run_dir: RunDir, experiment: TunedExperimentConfig, groups: Iterable[Group]
) -> Description:
    """Write the description of a search, atomically."""
    description = Description(space=experiment.space, tune=experiment.tune, groups=tuple(groups))
    write_checksummed(run_dir.search, description.model_dump(mode="json"))
    run_dir.publish(run_dir.search)
    return description


def read_description(run_dir: RunDir) -> Description:
    """The description of the search in a folder.

    Raises:
        RunDirectoryError: there is no search, or its description is damaged.
    """
    try:
        return Description.model_validate_json(json.dumps(read_checksummed(run_dir.search)))
    # Pydantic's errors are ValueErrors; those of the space are the project's own.
    except (OSError, ValueError, RecursionError, ConfigError) as error:
        raise RunDirectoryError(
            f"{run_dir.search}: missing or damaged; delete it and run the same command again, "
            "which goes on where the search stood"
        ) from error
