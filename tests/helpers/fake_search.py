"""Searches whose scores are made up: what schedulers decide on them, without any training."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from rich.console import Console

from orchestrator.config.search import TuneConfig
from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.state import Expected, GridProgress
from orchestrator.planning.plan import PlannedTrial
from orchestrator.search.ledger import Ledger, TrialSuggested
from orchestrator.search.plan import Group
from orchestrator.search.schedulers import SearchScheduler
from orchestrator.search.study import Description, Study
from orchestrator.search.time_budget import TimeBudget
from search_spaces.distributions import LogUniform
from search_spaces.space import Space
from trainables.storage.run_dir import RunDir

SPACE = Space(name="s", parameters={"training.learning_rate": LogUniform(low=1e-5, high=1e-3)})
BUDGET = 1600
RUNGS = (100, 400)

Scores = Sequence[Sequence[float]]
"""One sequence per trial: its score at each rung."""


def group(name: str = "a", rungs: tuple[int, ...] = RUNGS, **changes: Any) -> Group:
    """A group whose trials see 1,600 examples and are measured at 100 and 400."""
    values = {
        "name": name,
        "arm": name,
        "label": name,
        "strategy": "shared_encoder",
        "model": "tiny",
        "task": None,
        "metric": "macro",
        "facts": {"strategy": "shared_encoder", "arm": name, "training.learning_rate": 1e-4},
        "budget": BUDGET,
        "rungs": rungs,
    }
    return Group.model_validate(values | changes)


def suggested(name: str, number: int) -> TrialSuggested:
    """Trial ``number`` of a group."""
    return TrialSuggested(
        group=name,
        number=number,
        proposal=number,
        key=f"{name}{number}",
        settings={"training.learning_rate": 1e-4},
        examples=BUDGET,
    )


class MadeUp:
    """A search in a folder; made anew over the same folder it goes on where its ledger stands."""

    def __init__(self, folder: Path, *groups: Group, **tune: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.run_dir = RunDir(folder)
        self.ledger = Ledger(self.run_dir.ledger)
        self.ledger.mend()
        description = Description(
            space=SPACE, tune=TuneConfig.model_validate(tune), groups=groups or (group(),)
        )
        self.study = Study(description, self.ledger, {})
        expected = [
            Expected(f"{g.name}{n}", "", "", 1) for g in groups or (group(),) for n in range(100)
        ]
        view = LiveView(GridProgress(expected), Console(file=io.StringIO()))
        self.scheduler = SearchScheduler(self.study, self.run_dir, view, TimeBudget(None))

    def suggest(self, name: str, number: int) -> None:
        """Let a trial begin, unless it has before."""
        event = suggested(name, number)
        if event.key not in self.study.suggested:
            self.study.add(event)
        self.scheduler.on_trial_add(trial(event.key))

    def report(self, key: str, scores: Iterable[float], loss: float = 0.5, step: int = 1) -> str:
        """Report all scores of a trial so far, as a trial does; gives the decision."""
        rungs = self.study.group_of(key).rungs
        reports = [[at, score, loss] for at, score in zip(rungs, scores, strict=False)]
        result = {
            "rungs": reports,
            "step": step,
            "total_steps": 100,
            "examples_per_second": 10.0,
        }
        return self.scheduler.on_trial_result(trial(key), result)

    def train(self, name: str, number: int, scores: Sequence[float], loss: float = 0.5) -> int:
        """A trial from its start to its end or stop; gives the number of rungs that it reached."""
        self.suggest(name, number)
        key = f"{name}{number}"
        if self.study.status(key) == "stopped":
            return len(self.study.reports[key])
        for reached in range(1, len(scores) + 1):
            if self.report(key, scores[:reached], loss) == "stop":
                return reached
        return len(scores) + 1

    @property
    def decisions(self) -> list[tuple[str, int, str]]:
        """Key, examples and decision of every report, in order."""
        return [(m.key, m.examples, m.decision) for m in self.study.history]


def trial(key: str) -> PlannedTrial:
    """A trial as far as a scheduler looks at it."""
    return cast(PlannedTrial, SimpleNamespace(key=key))
