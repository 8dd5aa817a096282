"""What the files of a folder tell of its trials, look by look; nothing is ever written.

A folder is a run directory with its plan, or that of a search with its ledger (``search/`` in it).
Files that have not changed are not read again, so that a look at thousands of trials is cheap.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.state import Expected, cell_name
from trainables.atomic import read_whole
from trainables.results.metrics import macro, scores
from trainables.results.record import read_checksummed
from trainables.results.status import TrialStatus
from trainables.storage.run_dir import RunDir
from trainables.trial.progress import Progress, read_progress

Stamp = tuple[int, int]
"""Of a file's content: time in nanoseconds and size."""


class RunReader:
    """The planned trials of a run directory; ``look`` tells a live view what is new.

    Attributes:
        damaged: file -> what is wrong with it.
        newest: Unix seconds, by the storage's clock, of the newest file; 0 before there is one.
        began: the same of what says which trials there are, made anew by every command that trains.
        keys: of the trials.
    """

    def __init__(self, layout: RunDir) -> None:
        self.layout = layout
        self.damaged: dict[Path, str] = {}
        self.newest = 0.0
        self.keys: set[str] = set()
        self._stamps: dict[Path, Stamp] = {}
        self.began = 0.0

    def look(self, view: LiveView) -> None:
        """Tell ``view`` what has changed since the last look.

        Raises:
            OSError: the storage is away.
        """
        self._plan(view)
        # A trial that failed and is tried again speaks after its record.
        self._records(view)
        self._words(view)

    def failed(self, view: LiveView) -> list[str]:
        """Keys of the trials that have ended and have no result."""
        bad = (TrialStatus.FAILED, TrialStatus.DIVERGED)
        return [key for key in self.keys if view.progress.trials[key].state in bad]

    def _plan(self, view: LiveView) -> None:
        path = self.layout.plan
        if not self.changed(path):
            return
        self.began = self._stamps[path][0] / 1e9
        try:
            expected = {one.key: one for one in map(_expected, _json(path)["trials"])}
        except OSError as error:
            self.unread(path, error)
            return
        except (ValueError, KeyError, TypeError, RecursionError):
            self.damaged[path] = "no plan can be read from it"
            return
        # What ran under the command before this one runs no more, or speaks again.
        view.interrupt(self.keys)
        view.expect(expected.values(), self.keys - expected.keys())
        self.keys = set(expected)

    def _words(self, view: LiveView) -> None:
        """What the running trials say of themselves."""
        for path in self._files(self.layout.progress_folder):
            trial = view.progress.trials.get(path.stem)
            again = trial is not None and trial.state is TrialStatus.FAILED
            if trial is not None and trial.state.is_finished() and not again:
                continue
            # Also what nobody asks for is heard: it is no silence.
            if not self.changed(path) or trial is None:
                continue
            written = self._stamps[path][0] / 1e9
            record = self._stamps.get(self.layout.record(path.stem), (0, 0))[0] / 1e9
            if written < self.began - 1 or (again and written <= record):
                continue  # Of a run before this one.
            word = read_progress(path)
            if word is None:
                if path.exists():
                    self.damaged[path] = "no progress can be read from it"
                continue
            if trial.state is not TrialStatus.RUNNING:
                view.start(path.stem)
            self._told(view, path.stem, word, written)

    def _told(self, view: LiveView, key: str, word: Progress, written: float) -> None:
        view.note(key, str(word.get("note", "")))
        if word["loss"] is not None:
            # Read off the storage's clock: that of the trial's machine may be another.
            view.update(key, {**word, "time": written})

    def _records(self, view: LiveView) -> None:
        """How trials have ended."""
        for path in self._files(self.layout.records):
            trial = view.progress.trials.get(path.stem)
            if trial is None or trial.state in (TrialStatus.FINISHED, TrialStatus.STOPPED):
                continue
            if not self.changed(path):
                continue
            try:
                _ended(view, path.stem, read_checksummed(path))
            except FileNotFoundError:
                continue
            except OSError as error:
                self.unread(path, error)
            except (ValueError, KeyError, TypeError, RecursionError, IndexError):
                self.damaged[path] = "no record can be read from it"

    def changed(self, path: Path) -> bool:
        """Whether a file is there that has not been seen with this content."""
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

    def unread(self, path: Path, error: OSError) -> None:
        """A changed file could not be read this time; the next look tries again."""
        self._stamps.pop(path, None)
        self.damaged[path] = error.strerror or str(error)

    def _files(self, folder: Path) -> list[Path]:
        try:
            names = sorted(path.name for path in folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [folder / n for n in names if n.endswith(".json") and not n.startswith(".")]


def _json(path: Path) -> dict[str, Any]:
    content = json.loads(read_whole(path))
    if not isinstance(content, dict):
        raise ValueError("no object")
    return content


def _expected(trial: Mapping[str, Any]) -> Expected:
    """A trial of ``plan.json``."""
    tuned = bool(trial["config"].get("tuned"))
    return Expected(
        key=str(trial["key"]),
        title=str(trial["title"]),
        model=str(trial["model"]),
        examples=int(trial["expected_examples"]),
        group=cell_name(str(trial["arm"]), str(trial["model"]), tuned=tuned),
    )


def _ended(view: LiveView, key: str, record: Mapping[str, Any]) -> None:
    """Tell how a trial ended, with its record's own times: its start was perhaps not seen."""
    state, reason = TrialStatus(record["status"]), str(record["error"] or "")
    trial = view.progress.trials[key]
    trained = took = float(record["train_seconds"]) + float(record["eval_seconds"])
    with suppress(ValueError, TypeError):
        began, ended = (datetime.fromisoformat(record[n]) for n in ("started", "finished"))
        took = max(trained, (ended - began).total_seconds())
    unseen = trial.last is None
    if trial.last is None:
        word = _word(record)
        view.start(key, at=0.0)
        if trained > 0:
            view.update(key, {**word, "examples": record["inherited"], "time": 0.0})
        view.update(key, {**word, "time": trained})
    elif (headline := _headline(record)) is not None:
        view.update(key, {**trial.last, "headline": headline})
    view.finish(key, state, reason, at=took if unseen else None, took=took)


def _word(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a trial would have said last."""
    epochs, history = int(record["config"]["training"]["epochs"]), record["history"]
    names = list(record["config"]["tasks"])
    single = record["config"]["tasks"][names[0]]["headline"] if len(names) == 1 else "macro"
    return {
        "epoch": float(history[-1]["epoch"]) if history else 0.0,
        "epochs": epochs,
        "step": int(record["steps"]),
        "total_steps": int(record["steps"]),
        "examples": int(record["examples"]),
        "loss": float(history[-1]["train_loss"]) if history else None,
        "headline": _headline(record),
        "headline_name": str(single),
        "examples_per_second": int(record["examples"]) / max(float(record["train_seconds"]), 1e-9),
    }


def _headline(record: Mapping[str, Any]) -> float | None:
    """Headline of the reported epoch, on the split that progress tells of; none: there is none."""
    epochs = record["history"]
    reported = [one for one in epochs if one["epoch"] == record["reported_epoch"]] or epochs[-1:]
    if not reported:
        return None
    splits = reported[0]["splits"]
    results = splits.get("selection") or splits["validation"]
    tasks = record["config"]["tasks"]
    return macro(
        [
            scores(np.array(result["confusion"]))[tasks[name]["headline"]]
            for name, result in results.items()
        ]
    )
