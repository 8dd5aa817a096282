"""Follows the files of a search's folder for ``watch``."""

from typing import Any

from orchestrator.config.search import TuneConfig
from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.run_reader import RunReader
from orchestrator.monitor.state import Expected
from orchestrator.search.ledger import (
    Event,
    ScoreReported,
    SegmentStarted,
    TrialEnded,
    TrialSuggested,
    read_event,
)
from trainables.results.record import read_sealed
from trainables.results.status import TrialStatus
from trainables.storage.run_dir import RunDir

Slot = tuple[str, int, int]
"""Group, number of the trial in it, and number of the part of its training."""


class SearchReader(RunReader):
    """The trials of a search: those that were suggested, and placeholders for those to come."""

    def __init__(self, layout: RunDir) -> None:
        super().__init__(layout)
        self._groups: dict[str, dict[str, Any]] = {}
        self._parts = 1
        self._read = self._lines = 0
        self._placeholders: dict[Slot, str] = {}
        self._slots: dict[str, Slot] = {}

    def end(self, view: LiveView) -> None:
        """The search is over: no more trials will be suggested."""
        view.expect([], self._placeholders.values())
        self.keys -= set(self._placeholders.values())
        self._placeholders = {}

    def _plan(self, view: LiveView) -> None:
        path = self.layout.search
        if self.changed(path):
            self.began = self._stamps[path][0] / 1e9
            view.interrupt(self.keys)
            try:
                self._describe(read_sealed(path), view)
            except OSError as error:
                self.unread(path, error)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                self.damaged[path] = "no search can be read from it"
        if self._groups and self.changed(self.layout.ledger):
            self._follow_ledger(view)

    def _describe(self, content: dict[str, Any], view: LiveView) -> None:
        tune = TuneConfig.model_validate(content["tune"])
        self._groups = {str(group["name"]): group for group in content["groups"]}
        self._parts = tune.parts
        trials = [(name, number) for number in range(tune.trials) for name in self._groups]
        expected = []
        for name, number in trials[: tune.max_trials]:
            for part in range(self._parts):
                slot = name, number, part
                if slot not in self._placeholders and slot not in self._slots.values():
                    key = self._placeholders[slot] = f"{name}#{number}/{part}"
                    examples = int(self._groups[name]["budget"]) // self._parts
                    expected.append(self._expected(key, slot, examples, 0))
        self._expect(view, expected, [])

    def _expected(self, key: str, slot: Slot, examples: int, before: int) -> Expected:
        name, number, part = slot
        title = f"{name} #{number}" + (f", part {part + 1}" if self._parts > 1 else "")
        model = str(self._groups[name]["model"])
        return Expected(key, title, model, max(1, examples), before, name)

    def _expect(self, view: LiveView, expected: list[Expected], instead_of: list[str]) -> None:
        view.expect(expected, instead_of)
        self.keys = (self.keys - set(instead_of)) | {trial.key for trial in expected}

    def _follow_ledger(self, view: LiveView) -> None:
        """Take the new lines; a last line that is not whole yet is read the next time."""
        path = self.layout.ledger
        try:
            with path.open("rb") as file:
                file.seek(self._read)
                new = file.read()
            for line in new.split(b"\n")[:-1]:
                self._take(read_event(line, self._lines + 1), view)
                self._lines += 1
                self._read += len(line) + 1
        except OSError as error:
            self.unread(path, error)
        except (ValueError, KeyError, RecursionError):
            self.damaged[path] = f"line {self._lines + 1} cannot be read"

    def _take(self, event: Event, view: LiveView) -> None:
        match event:
            case ScoreReported():
                if event.decision == "stop":
                    reason = f"{event.score:.3f} at {event.examples:,}"
                    view.finish(event.key, TrialStatus.STOPPED, reason)
                return
            case TrialEnded():
                return  # Its record tells more.
            case SegmentStarted():
                slot = event.group, event.member, event.generation
            case TrialSuggested():
                slot = event.group, event.number, 0
        examples = event.examples // self._parts
        self._slots[event.key] = slot
        placeholder = self._placeholders.pop(slot, None)
        expected = self._expected(event.key, slot, examples, slot[2] * examples)
        self._expect(view, [expected], [placeholder] if placeholder else [])
