"""Which trials of a plan are still to be run, and the artifacts that trials need of others."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from orchestrator.planning.dependencies import artifacts_of
from orchestrator.planning.plan import PlannedTrial
from trainables.results.record import TrialRecord
from trainables.results.status import TrialStatus
from trainables.storage.run_dir import RunDir
from trainables.trial.artifacts import has_artifacts


def trials_to_run(
    run_dir: RunDir, trials: Iterable[PlannedTrial], records: Mapping[str, TrialRecord]
) -> list[PlannedTrial]:
    """The trials to run, in the given order.

    These are the trials that have failed or not ended, and finished trials whose missing artifacts
    one of those needs.
    """
    trials = list(trials)
    by_key, artifacts = {trial.key: trial for trial in trials}, artifacts_of(trials)
    to_run = {t.key for t in trials if not has_ended(records.get(t.key))}
    new = set(to_run)
    while new:
        needed = {key for waiter in new for key in by_key[waiter].config.needs} - to_run
        new = {
            key
            for key in needed
            if records[key].status == "finished" and not has_artifacts(run_dir, key, artifacts[key])
        }
        to_run |= new
    return [trial for trial in trials if trial.key in to_run]


def has_ended(record: TrialRecord | None) -> bool:
    """Whether a trial is never trained again."""
    return record is not None and record.status != "failed"


def missing_upstream(trial: PlannedTrial, records: Mapping[str, TrialRecord]) -> str | None:
    """Why a trial cannot start after the trials that it needs were run; None if it can."""
    for key in sorted(trial.config.needs):
        record = records.get(key)
        if record is None:
            return f"it needs trial {key}, which has no record"
        if record.status != "finished":
            return f"it needs {record.title} ({key}), which {record.status}: {record.error}"
    return None


def failed(trial: PlannedTrial, reason: str) -> TrialRecord:
    """The record of a trial that could not be started, or left no record itself."""
    return TrialRecord(
        key=trial.key,
        title=trial.config.title,
        status=TrialStatus.FAILED,
        error=reason,
        config=trial.config,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def clear_artifacts(
    run_dir: RunDir, trials: Iterable[PlannedTrial], records: Mapping[str, TrialRecord]
) -> None:
    """Remove the artifacts that no trial will need any more."""
    trials = list(trials)
    still = {key for t in trials if not has_ended(records.get(t.key)) for key in t.config.needs}
    remove_artifacts(run_dir, artifacts_of(trials).keys() - still)


def remove_artifacts(run_dir: RunDir, keys: Iterable[str]) -> None:
    """Remove the artifacts of these trials."""
    for key in keys:
        for path in (run_dir.teacher_logits(key), run_dir.weights(key)):
            with suppress(OSError):
                path.unlink(missing_ok=True)
                run_dir.publish_removal(path)
