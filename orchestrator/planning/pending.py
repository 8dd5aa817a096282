"""What of a plan is still to be run, and what trials leave for those that come after them."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from orchestrator.planning.plan import PlannedTrial
from trainables.results.record import TrialRecord
from trainables.results.status import TrialStatus
from trainables.storage.run_dir import RunDir
from trainables.trial.artifacts import has_artifacts

Leaves = Mapping[str, tuple[str, ...]]
"""Key of a trial -> what others need of it (see ``Runtime.artifacts``)."""


def leaves_of(trials: Iterable[PlannedTrial]) -> dict[str, tuple[str, ...]]:
    """What the trials of a plan must leave for each other."""
    needed: dict[str, set[str]] = {}
    for config in (trial.config for trial in trials):
        for key in (key for keys in config.teachers.values() for key in keys):
            needed.setdefault(key, set()).add("teacher_logits")
        if config.start_from is not None:
            needed.setdefault(config.start_from, set()).add("weights")
    return {key: tuple(sorted(names)) for key, names in needed.items()}


def unfinished(
    layout: RunDir, trials: Iterable[PlannedTrial], records: Mapping[str, TrialRecord]
) -> list[PlannedTrial]:
    """The trials to run, in the order that is given.

    Those that have not ended, or failed; and finished ones of which one of those needs what is no
    longer there, which are trained again.
    """
    trials = list(trials)
    by_key, leaves = {trial.key: trial for trial in trials}, leaves_of(trials)
    waiting = {t.key for t in trials if not has_ended(records.get(t.key))}
    new = set(waiting)
    while new:
        needed = {key for waiter in new for key in by_key[waiter].config.needs} - waiting
        new = {
            key
            for key in needed
            if records[key].status == "finished" and not has_artifacts(layout, key, leaves[key])
        }
        waiting |= new
    return [trial for trial in trials if trial.key in waiting]


def has_ended(record: TrialRecord | None) -> bool:
    """Whether a trial is never trained again."""
    return record is not None and record.status != "failed"


def what_it_lacks(trial: PlannedTrial, records: Mapping[str, TrialRecord]) -> str | None:
    """Why a trial cannot start although those that it needs have been run; none: it can."""
    for key in sorted(trial.config.needs):
        record = records.get(key)
        if record is None:
            return f"it needs trial {key}, which has no record"
        if record.status != "finished":
            return f"it needs {record.title} ({key}), which {record.status}: {record.error}"
    return None


def failed(trial: PlannedTrial, reason: str) -> TrialRecord:
    """The record of a trial that could not be started, or that left none itself."""
    return TrialRecord(
        key=trial.key,
        title=trial.config.title,
        status=TrialStatus.FAILED,
        error=reason,
        config=trial.config,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def clear_leaves(
    layout: RunDir, trials: Iterable[PlannedTrial], records: Mapping[str, TrialRecord]
) -> None:
    """Remove what no trial will need any more."""
    trials = list(trials)
    still = {key for t in trials if not has_ended(records.get(t.key)) for key in t.config.needs}
    remove_leaves(layout, leaves_of(trials).keys() - still)


def remove_leaves(layout: RunDir, keys: Iterable[str]) -> None:
    """Remove what these trials left for others."""
    for key in keys:
        for path in (layout.teacher_logits(key), layout.weights(key)):
            with suppress(OSError):
                path.unlink(missing_ok=True)
                layout.publish_removal(path)
