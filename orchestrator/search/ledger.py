"""The ledger of a search: its decisions and the reports that they were made on, line by line.

Reports are the scores of running trials and how trials ended; decisions are what is suggested,
stopped and copied. Every decision follows from the lines before it, and its line is on the disk
before anything acts on it. So a search that is killed at any moment goes on from its ledger: what
was decided is replayed, never decided anew.
"""

import errno
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, NonNegativeInt, PositiveInt, TypeAdapter

from trainables.atomic import read_whole, sync_folder
from trainables.config.base import Settings
from trainables.config.schedules import SettingChange
from trainables.errors import RunDirectoryError
from trainables.results.record import checksum
from trainables.results.status import TrialStatus
from trainables.storage.retry import Backoff, retry


class TrialSuggested(Settings):
    """Decision: a trial with these settings is to be trained.

    Attributes:
        group: name of the group.
        number: of the trial in its group, counted from 0.
        proposal: index of the suggestion, counted from 0; also suggestions of settings that had
            been tried already count.
        key: of the trial.
        settings: dotted key -> value.
        examples: training examples that the trial sees if it is not stopped.
    """

    event: Literal["proposed"] = "proposed"
    group: str
    number: NonNegativeInt
    proposal: NonNegativeInt
    key: str
    settings: dict[str, str | int | float | bool | None]
    examples: PositiveInt


class ScoreReported(Settings):
    """Report: a running trial's score; and decision: whether the trial goes on.

    Attributes:
        key: of the trial.
        examples: training examples seen so far.
        score: headline metric on ``selection``.
        loss: cross-entropy on ``selection``, averaged over tasks.
        seconds: of training so far.
        trained: whether the trial had trained to its end by then; such a trial is never stopped.
        decision: of the scheduler.
    """

    event: Literal["measured"] = "measured"
    key: str
    examples: NonNegativeInt
    score: FiniteFloat
    loss: FiniteFloat
    seconds: FiniteFloat
    trained: bool = False
    decision: Literal["continue", "stop"]


class TrialEnded(Settings):
    """Report: a trial has ended and has left its record.

    A trial that failed may end again, after it was run again; its last end counts. A trial that the
    scheduler stopped has no such line.

    Attributes:
        key: of the trial.
        status: ``finished``, ``diverged`` or ``failed``.
        score: headline metric on ``selection``. None if the trial did not finish.
        loss: cross-entropy on ``selection``, averaged over tasks. None if it did not finish.
    """

    event: Literal["ended"] = "ended"
    key: str
    status: TrialStatus
    score: FiniteFloat | None
    loss: FiniteFloat | None


class SegmentStarted(Settings):
    """Decision: a member of a population goes on with the next segment of training.

    Attributes:
        group: name of the group.
        member: its number in the group, counted from 0.
        generation: number of the segment, counted from 0; the first one was suggested.
        key: of the trial that trains this segment.
        settings: dotted key -> value at the start of training.
        changes: of the settings during training, up to this segment.
        parent: key of the trial that trained the segment before. None if this is the first one.
        source: the member that trained the segment before: this one, or the one that it copies.
        examples: training examples that all segments together see.
    """

    event: Literal["continued"] = "continued"
    group: str
    member: NonNegativeInt
    generation: NonNegativeInt
    key: str
    settings: dict[str, str | int | float | bool | None]
    changes: tuple[SettingChange, ...]
    parent: str | None
    source: NonNegativeInt
    examples: PositiveInt


class RerunStarted(Settings):
    """Decision: one of a group's best settings is trained with a new seed, to be ranked again.

    Attributes:
        group: name of the group.
        number: of the trial in its group that had these settings in the search.
        key: of the trial with the new seed.
        seed: the new seed.
        examples: training examples that it sees.
    """

    event: Literal["reranked"] = "reranked"
    group: str
    number: NonNegativeInt
    key: str
    seed: NonNegativeInt
    examples: PositiveInt


Event = TrialSuggested | ScoreReported | TrialEnded | SegmentStarted | RerunStarted
_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


class Ledger:
    """An append-only file of events.

    Args:
        path: the file, which need not be there.
        storage_timeout: seconds that a line waits for storage that is away or full.
        sent: hands the file over where it must be elsewhere too; raises ``OSError``.
    """

    def __init__(
        self, path: Path, storage_timeout: float = 0.0, sent: Callable[[], None] | None = None
    ) -> None:
        self.path = path
        self._storage_timeout = storage_timeout
        self._sent = sent
        self._whole: int | None = None
        self._lines: int | None = None

    def read(self) -> list[Event]:
        """All events. A last line that is not whole was never acted upon, and is left out.

        Raises:
            RunDirectoryError: the file is damaged.
        """
        try:
            content = read_whole(self.path)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RunDirectoryError(f"{self.path}: cannot be read ({error.strerror})") from error
        events = []
        for number, line in enumerate(content.split(b"\n")[:-1], start=1):
            try:
                events.append(read_event(line, number))
            except (ValueError, RecursionError) as error:
                raise RunDirectoryError(
                    f"{self.path}: line {number} is damaged; choose another directory with "
                    "--run-dir, or delete the folder to search anew"
                ) from error
        return events

    def mend(self) -> None:
        """Cut off a last line that is not whole; the run directory's lock is held by the caller."""
        try:
            content = read_whole(self.path)
        except FileNotFoundError:
            return
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with self.path.open("r+b") as file:
                file.truncate(whole)
                os.fsync(file.fileno())

    def append(self, event: Event) -> None:
        """Add an event; it is on the disk when this returns.

        Raises:
            OSError: the storage stays away or full.
        """
        retry(lambda: self._append(event), Backoff(self._storage_timeout))

    def _append(self, event: Event) -> None:
        try:
            if self._lines is None:
                self._lines = self._count()
            content = event.model_dump(mode="json") | {"line": self._lines + 1}
            content["sha256"] = checksum(content)
            self._write((json.dumps(content) + "\n").encode())
            self._lines += 1
        except OSError as error:
            # The error of a write names no file.
            error.filename = error.filename or str(self.path)
            raise

    def _count(self) -> int:
        try:
            return read_whole(self.path).count(b"\n")
        except FileNotFoundError:
            return 0

    def _write(self, line: bytes) -> None:
        new = not self.path.exists()
        with self.path.open("ab", buffering=0) as file:
            # A part of a line, which would make the next one unreadable, or a line that is perhaps
            # not on the disk: cut off at once or, where the storage is away, the next time.
            torn = self._whole is not None
            self._whole = file.tell() if self._whole is None else self._whole
            if torn:
                os.ftruncate(file.fileno(), self._whole)
            try:
                if file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
                os.fsync(file.fileno())
                if self._sent is not None:
                    self._sent()
            except OSError:
                with suppress(OSError):
                    os.ftruncate(file.fileno(), self._whole)
                raise
        if new:
            sync_folder(self.path.parent)
        self._whole = None


def read_event(line: bytes, number: int) -> Event:
    """The event of a ledger's line ``number``, counted from 1.

    Raises:
        ValueError: the line is damaged, or was written with another number.
        RecursionError: it is nested too deeply.
    """
    content = json.loads(line)
    written = content.pop("sha256", None) if isinstance(content, dict) else None
    if written != checksum(content) or content.pop("line", None) != number:
        raise ValueError("not what was written there")
    return _EVENT.validate_json(json.dumps(content), strict=True)
