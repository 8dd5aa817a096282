"""Recomputes every decision of a search from the lines of its ledger before it."""

from collections.abc import Mapping
from pathlib import Path

from orchestrator.search.engine import open_study
from orchestrator.search.ledger import (
    Event,
    Ledger,
    ScoreReported,
    SegmentStarted,
    TrialEnded,
    TrialSuggested,
)
from orchestrator.search.pbt.driver import PbtDriver
from orchestrator.search.pbt.state import Population
from orchestrator.search.plan import SearchPlan
from orchestrator.search.schedulers import GroupSchedulers
from orchestrator.search.study import end_of, read_description
from orchestrator.search.suggest import Suggester
from orchestrator.search.summary import GroupSummary
from orchestrator.search.time_budget import TimeBudget
from trainables.results.record import read_records
from trainables.storage.run_dir import RunDir


def check_decisions(
    folder: Path, plan: SearchPlan, warm_start: Mapping[str, GroupSummary] | None = None
) -> list[Event]:
    """Replay a ledger line by line; each decision must be the one that its search would make.

    A trial's end must be what its record says, unless it ended again later.

    Args:
        folder: of the search's trials.
        plan: what is searched.
        warm_start: what the search was started from.

    Returns:
        The events of the ledger.
    """
    run_dir = RunDir(folder)
    nothing = Ledger(folder / "nothing")
    study = open_study(read_description(run_dir), nothing, {})
    suggester = Suggester(study, plan, warm_start or {}, TimeBudget(None))
    schedulers = None if isinstance(study, Population) else GroupSchedulers(study)
    events = Ledger(run_dir.ledger).read()
    for number, event in enumerate(events, start=1):
        match event:
            case TrialSuggested():
                suggestion = suggester.suggestion()
                assert suggestion is not None, number
                assert suggestion[0] == event, number
            case ScoreReported():
                assert schedulers is not None
                decision = schedulers.decide(event.key, event.examples, event.score, event.loss)
                assert event.decision == ("continue" if event.trained else decision), number
            case SegmentStarted():
                driver = PbtDriver(study, plan, suggester, run_dir, TimeBudget(None))
                assert driver.decisions(study.groups[event.group], event.generation)[0] == event
            case TrialEnded():
                pass
        study.take(event)
    records = read_records(run_dir, {})
    for key, end in study.ended.items():
        if study.status(key) != "stopped" and key in records:
            assert end == end_of(records[key])
    return events
