"""The states of a trial: one enum for records, searches, tables and live views."""

from enum import StrEnum


class TrialStatus(StrEnum):
    """The state of a trial; its value is what a record holds.

    ``FINISHED``, ``DIVERGED`` and ``FAILED`` trials have a record. ``STOPPED`` is a trial of a
    search that its scheduler ended early. ``PENDING`` has not started, or will start again;
    ``UNFINISHED`` was interrupted: the same command goes on with it.
    """

    PENDING = "pending"
    RUNNING = "running"
    UNFINISHED = "unfinished"
    STOPPED = "stopped"
    FINISHED = "finished"
    DIVERGED = "diverged"
    FAILED = "failed"

    def is_finished(self) -> bool:
        """Whether the trial will not run any more: it has a record or was stopped."""
        return self in (
            TrialStatus.FINISHED,
            TrialStatus.DIVERGED,
            TrialStatus.FAILED,
            TrialStatus.STOPPED,
        )
