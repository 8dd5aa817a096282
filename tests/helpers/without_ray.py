"""Searches as the command line runs them, one trial at a time, in this process and without Ray.

What stands in for Ray Tune asks for trials, steps them and tells the scheduler, in Tune's order.
"""

import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from orchestrator.commands import session, tune
from orchestrator.commands.tune_report import TuningOutcome
from orchestrator.execution.local_executor import LocalExecutor
from orchestrator.execution.tune_executor import cells
from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.state import GridProgress
from orchestrator.planning.pending import leaves_of
from orchestrator.planning.plan import PlannedTrial
from orchestrator.planning.resources import TrialResources
from orchestrator.report.tuning import report
from orchestrator.search import tune_driver
from orchestrator.search.schedulers import PerGroup
from trainables.storage.run_dir import RunDir
from trainables.tune.trainable import TrialTrainable


class Killed(BaseException):
    """What ends the process, as far as anybody in it can tell."""


class WithoutRay:
    """Takes Ray's place while it is installed.

    Attributes:
        steps: how often a trial was stepped in the last run.
        started: keys of the trials that were started, in order, over all runs.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.started: list[str] = []
        self.kill_at: int | None = None

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let ``TunedExperiment`` use this in place of Ray."""
        monkeypatch.setattr(TrialTrainable, "slice_seconds", 0.0)
        # Drawing takes longer than a trial, of which there are tests of its own.
        monkeypatch.setattr(report, "tuning_html", lambda *report: "")
        monkeypatch.setattr(tune_driver, "run_search", self._run_search)
        monkeypatch.setattr(session, "LocalExecutor", self._local)

    def tune(
        self, folder: Path, space: str, overrides: list[str], kill_at: int | None = None
    ) -> TuningOutcome:
        """The command ``tune`` with its run directory in ``folder``.

        Args:
            folder: of the run directory and of the token cache.
            space: name or file.
            overrides: as of the command line.
            kill_at: number of steps after which the process dies.
        """
        self.steps, self.kill_at = 0, kill_at
        console = Console(file=io.StringIO(), width=200)
        cache = f"data.cache_dir={folder.parent / 'cache'}"
        return tune.TunedExperiment.load("demo", space, [*overrides, cache]).run(
            folder, local=True, console=console
        )

    def _local(self, config: Any) -> LocalExecutor:
        def before_step(trial: PlannedTrial) -> None:
            self._step()
            if trial.key not in self.started[-1:]:
                self.started.append(trial.key)

        return LocalExecutor(
            config, slice_seconds=1e9, before_step=before_step, release=lambda: None
        )

    def _step(self) -> None:
        if self.kill_at is not None and self.steps >= self.kill_at:
            raise Killed
        self.steps += 1

    def _run_search(
        self,
        plan: Any,
        state: Any,
        proposing: Any,
        ending: Any,
        layout: RunDir,
        resources: TrialResources,
        console: Any,
    ) -> None:
        view = LiveView(GridProgress([]), console)
        forecast = tune_driver.Forecast(state, view)
        scheduler = PerGroup(state, layout, view, ending)
        cell = cells(plan.experiment, layout, resources, plan.glue_dir, leaves_of(plan.forerunners))
        actor: TrialTrainable | None = None
        while (found := proposing.next()) is not None:
            event, planned = found
            forecast.proposed(event, planned)
            self.started.append(planned.key)
            trial = SimpleNamespace(config={"cell": cell(planned)})
            scheduler.on_trial_add(None, trial)
            if actor is None:
                actor = TrialTrainable(trial.config)
            else:
                actor.reset_config(trial.config)
            while True:
                self._step()
                result = actor.step()
                if result["done"]:
                    scheduler.on_trial_complete(None, trial, result)
                    break
                if scheduler.on_trial_result(None, trial, result) == "STOP":
                    break
        if actor is not None:
            actor.cleanup()


def overrides(encoder: Path, *more: str) -> list[str]:
    """A small search: one tiny model, two tasks, two arms: three groups."""
    return [
        f"define.models.tiny={{encoder: {encoder}, max_length: 64}}",
        "models=[tiny]",
        "tasks=[sentiment,acceptability]",
        "arms=[single_task,shared_encoder]",
        "seeds=[1]",
        "limits={max_train_examples: 64, max_validation_examples: 12}",
        "training.epochs=2",
        "training.batch_size=8",
        "resources={cpu: 1, max_concurrent: 1}",
        "checkpoint.every=0",
        *more,
    ]


def decided(folder: Path) -> list[dict[str, Any]]:
    """The lines of a search's ledger but for what a clock said."""
    lines = RunDir(folder / "search").ledger.read_text().splitlines()
    clocked = ("seconds", "sha256")
    return [{k: v for k, v in json.loads(line).items() if k not in clocked} for line in lines]


def reported(folder: Path) -> list[dict[str, str]]:
    """The lines of ``tuning.csv`` but for the time that trials took."""
    with RunDir(folder).tuning("csv").open(encoding="utf-8") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def compared(folder: Path) -> list[dict[str, Any]]:
    """The rows of the comparison table but for the time that trials took."""
    rows = json.loads(RunDir(folder).table("json").read_text(encoding="utf-8"))["rows"]
    for row in rows:
        row["cells"].pop("train_seconds", None)
    return rows


def space_file(folder: Path, **parameters: str) -> str:
    """A space called ``s``; double underscores stand for dots of the keys."""
    lines = [f"  {key.replace('__', '.')}: {value}" for key, value in parameters.items()]
    path = folder / "s.yaml"
    path.write_text("\n".join(["name: s", "parameters:", *lines]) + "\n", encoding="utf-8")
    return str(path)
