"""What the files of a search's folder say about its trials."""

from typing import Any

from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.run_reader import RunReader
from orchestrator.monitor.state import Expected
from orchestrator.search.ledger import Event, ScoreReported, SegmentStarted, read_event
from trainables.results.record import read_checksummed
from trainables.results.status import TrialStatus
from trainables.storage.run_dir import RunDir

Place = tuple[str, int, int]
"""Group, number of the trial in it and, of a population, number of the part of training."""


class ObservedSearch(RunReader):
    """The trials of a search: those that were proposed, and placeholders for those to come."""

    def __init__(self, layout: RunDir) -> None:
        super().__init__(layout)
        self._groups: dict[str, dict[str, Any]] = {}
        self._parts = 1
        self._read = self._lines = 0
        self._placeholders: dict[Place, str] = {}
        self._places: dict[str, Place] = {}

    def end(self, view: LiveView) -> None:
        """The search is over: no more trials will be proposed."""
        view.expect([], self._placeholders.values())
        self.keys -= set(self._placeholders.values())
        self._placeholders = {}

    def _plan(self, view: LiveView) -> None:
        path = self.layout.search
        if self.changed(path):
            self.began = self._stamps[path][0] / 1e9
            view.interrupt(self.keys)
            try:
                self._describe(read_checksummed(path), view)
            except OSError as error:
                self.unread(path, error)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                self.damaged[path] = "no search can be read from it"
        if self._groups and self.changed(self.layout.ledger):
            self._follow_ledger(view)

    def _describe(self, content: dict[str, Any], view: LiveView) -> None:
        tune = content["tune"]
        self._groups = {str(group["name"]): group for group in content["groups"]}
        self._parts = int(tune["generations"]) if tune["scheduler"] == "pbt" else 1
        numbers = [(name, n) for n in range(int(tune["trials"])) for name in self._groups]
        if tune["max_trials"] is not None:
            numbers = numbers[: int(tune["max_trials"])]
        expected = []
        for name, number in numbers:
            for part in range(self._parts):
                place = name, number, part
                if place not in self._placeholders and place not in self._places.values():
                    key = self._placeholders[place] = f"{name}#{number}/{part}"
                    examples = int(self._groups[name]["budget"]) // self._parts
                    expected.append(self._expected(key, place, examples, 0))
        self._expect(view, expected, [])

    def _expected(self, key: str, place: Place, examples: int, before: int) -> Expected:
        name, number, part = place
        title = f"{name} #{number}" + (f", part {part + 1}" if self._parts > 1 else "")
        model = str(self._groups[name]["model"])
        return Expected(key, title, model, max(1, examples), before, name)

    def _expect(self, view: LiveView, expected: list[Expected], instead: list[str]) -> None:
        view.expect(expected, instead)
        self.keys = (self.keys - set(instead)) | {one.key for one in expected}

    def _follow_ledger(self, view: LiveView) -> None:
        """Take the lines that are new; one that is not whole yet is read the next time."""
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
        if isinstance(event, ScoreReported):
            if event.decision == "stop":
                told = f"{event.score:.3f} at {event.examples:,}"
                view.finish(event.key, TrialStatus.STOPPED, told)
            return
        part, number = 0, event.number if not isinstance(event, SegmentStarted) else event.member
        before = 0
        examples = event.examples // self._parts
        if isinstance(event, SegmentStarted):
            part, before = event.generation, event.generation * examples
        place = event.group, number, part
        self._places[event.key] = place
        instead = self._placeholders.pop(place, None)
        known = self._expected(event.key, place, examples, before)
        self._expect(view, [known], [instead] if instead else [])
