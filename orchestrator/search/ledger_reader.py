"""Feeds a live view from the files of a search's folder, for ``watch``."""

from typing import Any

from orchestrator.config.search import TuneConfig
from orchestrator.monitor.forecast import SearchedGroup, SearchForecast
from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.run_reader import RunReader
from orchestrator.search.ledger import (
    Event,
    RerunStarted,
    ScoreReported,
    SegmentStarted,
    TrialEnded,
    TrialSuggested,
    read_event,
)
from trainables.results.record import read_checksummed
from trainables.results.status import TrialStatus
from trainables.storage.run_dir import RunDir


class SearchReader(RunReader):
    """The trials of a search: those that were suggested, and placeholders for those to come."""

    def __init__(self, run_dir: RunDir, view: LiveView) -> None:
        super().__init__(run_dir, view)
        self._forecast: SearchForecast | None = None
        self._bytes = self._lines = 0

    def end(self) -> None:
        """The search is over: no more trials will be suggested."""
        if self._forecast is not None:
            self._forecast.clear()
            self.keys = self._forecast.keys

    def _poll_plan(self) -> None:
        path = self.run_dir.search
        if self.note_change(path):
            self.began = self.written_at(path)
            self.view.interrupt(self.keys)
            try:
                self._describe(read_checksummed(path))
            except OSError as error:
                self.unread(path, error)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                self.damaged[path] = "no search can be read from it"
        if self._forecast is not None:
            if self.note_change(self.run_dir.ledger):
                self._follow_ledger(self._forecast)
            self._forecast.rescale()
            self.keys = self._forecast.keys

    def _describe(self, content: dict[str, Any]) -> None:
        tune = TuneConfig.model_validate(content["tune"])
        groups = [
            SearchedGroup(str(group["name"]), str(group["model"]), int(group["budget"]))
            for group in content["groups"]
        ]
        self._forecast = self._forecast or SearchForecast(self.view)
        self._forecast.describe(groups, tune.trials, tune.max_trials, tune.parts)

    def _follow_ledger(self, forecast: SearchForecast) -> None:
        """Take the new lines; a last line that is not whole yet is read the next time."""
        path = self.run_dir.ledger
        try:
            with path.open("rb") as file:
                file.seek(self._bytes)
                new = file.read()
            for line in new.split(b"\n")[:-1]:
                self._take(read_event(line, self._lines + 1), forecast)
                self._lines += 1
                self._bytes += len(line) + 1
        except OSError as error:
            self.unread(path, error)
        except (ValueError, KeyError, RecursionError):
            self.damaged[path] = f"line {self._lines + 1} cannot be read"

    def _take(self, event: Event, forecast: SearchForecast) -> None:
        match event:
            case ScoreReported():
                if event.decision == "stop":
                    reason = f"{event.score:.3f} at {event.examples:,}"
                    self.view.finish(event.key, TrialStatus.STOPPED, reason)
            case SegmentStarted():
                slot = event.group, event.member, event.generation
                forecast.add(event.key, slot, event.examples)
            case RerunStarted():
                forecast.add_rerun(event.key, event.group, event.number, event.seed, event.examples)
            case TrialSuggested():
                forecast.add(event.key, (event.group, event.number, 0), event.examples)
            case TrialEnded():
                pass  # Its record tells more.
