"""Feeds a live view from the files of a run directory; nothing is ever written.

A folder is a run directory with its plan, or that of a search with its ledger (``search/`` in it).
Files that have not changed are not read again, so that polling thousands of trials is cheap.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.state import Ending, Expected
from trainables.atomic import read_whole
from trainables.results.record import read_checksummed
from trainables.results.status import TrialStatus
from trainables.storage.run_dir import RunDir
from trainables.trial.progress import read_progress

Stamp = tuple[int, int]
"""Of a file's content: time in nanoseconds and size."""


class RunReader:
    """The planned trials of a run directory; each ``poll`` informs a live view of what is new.

    Args:
        run_dir: the run directory.
        view: the live view that is fed.

    Attributes:
        damaged: file -> what is wrong with it.
        newest: Unix seconds, by the storage's clock, of the newest file; 0 before the first.
        began: the same of the file that lists the trials, made anew by every command that trains.
        keys: of the trials.
    """

    def __init__(self, run_dir: RunDir, view: LiveView) -> None:
        self.run_dir = run_dir
        self.view = view
        self.damaged: dict[Path, str] = {}
        self.newest = 0.0
        self.began = 0.0
        self.keys: set[str] = set()
        self._stamps: dict[Path, Stamp] = {}

    def poll(self) -> None:
        """Inform the view of what has changed since the last poll.

        Raises:
            OSError: the storage is away.
        """
        self._poll_plan()
        # A trial that failed and is tried again reports progress after its record.
        self._poll_records()
        self._poll_progress()

    def failed(self) -> list[str]:
        """Keys of the trials that have ended without a result."""
        failures = (TrialStatus.FAILED, TrialStatus.DIVERGED)
        return [key for key in self.keys if self.view.progress.trials[key].state in failures]

    def _poll_plan(self) -> None:
        path = self.run_dir.plan
        if not self.note_change(path):
            return
        self.began = self.written_at(path)
        try:
            content = _read_json_object(path)
            expected = {trial.key: trial for trial in map(_expected, content["trials"])}
        except OSError as error:
            self.unread(path, error)
            return
        except (ValueError, KeyError, TypeError, RecursionError):
            self.damaged[path] = "no plan can be read from it"
            return
        # A trial that ran under the command before this one runs no more, or reports again.
        self.view.interrupt(self.keys)
        self.view.title = str(content.get("look", ""))
        self.view.expect(expected.values(), self.keys - expected.keys())
        self.keys = set(expected)

    def _poll_progress(self) -> None:
        for path in self._files(self.run_dir.progress_folder):
            key = path.stem
            trial = self.view.progress.trials.get(key)
            is_retry = trial is not None and trial.state is TrialStatus.FAILED
            if trial is not None and trial.state.is_finished() and not is_retry:
                continue
            # Files of unknown trials count as well: whoever writes them is not silent.
            if not self.note_change(path) or trial is None:
                continue
            written, recorded = self.written_at(path), self.written_at(self.run_dir.record(key))
            if written < self.began - 1 or (is_retry and written <= recorded):
                continue  # Of a run before this one.
            progress = read_progress(path)
            if progress is None:
                if path.exists():
                    self.damaged[path] = "no progress can be read from it"
                continue
            if trial.state is not TrialStatus.RUNNING:
                self.view.start(key)
            # By the storage's clock: that of the trial's machine may be another.
            self.view.update(key, progress, at=written)

    def _poll_records(self) -> None:
        for path in self._files(self.run_dir.records):
            trial = self.view.progress.trials.get(path.stem)
            if trial is None or trial.state in (TrialStatus.FINISHED, TrialStatus.STOPPED):
                continue
            if not self.note_change(path):
                continue
            try:
                self.view.finish_as_recorded(path.stem, Ending.of(read_checksummed(path)))
            except FileNotFoundError:
                continue
            except OSError as error:
                self.unread(path, error)
            except (ValueError, KeyError, TypeError, RecursionError, IndexError):
                self.damaged[path] = "no record can be read from it"

    def note_change(self, path: Path) -> bool:
        """Note a file's time and size; whether they differ from those noted before.

        A missing file has not changed. A changed one is no longer taken for damaged.
        """
        try:
            stat = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        stamp = stat.st_mtime_ns, stat.st_size
        if self._stamps.get(path) == stamp:
            return False
        self._stamps[path] = stamp
        self.damaged.pop(path, None)
        self.newest = max(self.newest, stat.st_mtime)
        return True

    def written_at(self, path: Path) -> float:
        """Unix seconds, by the storage's clock, of a file's polled content; 0 before a poll."""
        return self._stamps.get(path, (0, 0))[0] / 1e9

    def unread(self, path: Path, error: OSError) -> None:
        """A changed file could not be read this time; the next poll tries again."""
        self._stamps.pop(path, None)
        self.damaged[path] = error.strerror or str(error)

    def _files(self, folder: Path) -> list[Path]:
        try:
            names = sorted(path.name for path in folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [folder / n for n in names if n.endswith(".json") and not n.startswith(".")]


def _read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds anything else.
        RecursionError: it is nested too deeply.
    """
    content = json.loads(read_whole(path))
    if not isinstance(content, dict):
        raise ValueError("no object")
    return content


def _expected(trial: Mapping[str, Any]) -> Expected:
    """A trial of ``plan.json``."""
    return Expected.of_plan(
        key=str(trial["key"]),
        title=str(trial["title"]),
        arm=str(trial["arm"]),
        model=str(trial["model"]),
        examples=int(trial["expected_examples"]),
        tuned=bool(trial["config"].get("tuned")),
    )
