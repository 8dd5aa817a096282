"""Whole searches in this process, small enough for tests, and what they left."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from orchestrator.commands.tune import TunedExperiment
from orchestrator.commands.tune_report import TuningOutcome
from orchestrator.execution.local_executor import LocalExecutor
from orchestrator.planning.plan import PlannedTrial
from trainables.storage.run_dir import RunDir


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it is done."""


class LocalSearches:
    """Runs searches with the local executor, step by step, and can kill them at any step.

    Attributes:
        steps: how often a trial was stepped in the last run.
        started: keys of the trials that were started, in order, over all runs.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.started: list[str] = []

    def tune(
        self, folder: Path, space: str, overrides: list[str], kill_at: int | None = None
    ) -> TuningOutcome:
        """The command ``tune --local`` with its run directory in ``folder``.

        Args:
            folder: the run directory; the token cache lies beside it.
            space: name or file.
            overrides: as of the command line.
            kill_at: number of steps after which the process dies.
        """
        cache = f"data.cache_dir={folder.parent / 'cache'}"
        return TunedExperiment.load("demo", space, [*overrides, cache]).run(
            folder,
            console=Console(file=io.StringIO(), width=200),
            executor=lambda config: LocalExecutor(
                config,
                slice_seconds=0.0,
                before_step=self._before_step(kill_at),
                # Collecting the garbage of a whole test session takes longer than a trial.
                release=lambda: None,
            ),
        )

    def _before_step(self, kill_at: int | None) -> Callable[[PlannedTrial], None]:
        self.steps = 0
        stepped: set[str] = set()

        def before_step(trial: PlannedTrial) -> None:
            if kill_at is not None and self.steps >= kill_at:
                raise Killed
            self.steps += 1
            if trial.key not in stepped:
                stepped.add(trial.key)
                self.started.append(trial.key)

        return before_step


def overrides(encoder: Path, *more: str) -> list[str]:
    """A small search without re-ranking: one tiny model, two tasks, two arms: three groups."""
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
        "tune.rerank=null",
        *more,
    ]


def trained(folder: Path) -> dict[str, int]:
    """The records of a run directory and when each was written: changed if a trial is trained."""
    records = [*folder.glob("records/*.json"), *folder.glob("search/records/*.json")]
    return {path.name: path.stat().st_mtime_ns for path in records}


def ledger_lines(folder: Path) -> list[dict[str, Any]]:
    """The lines of a search's ledger but for what depends on the clock."""
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
        for timed in ("train_seconds", "device_seconds"):
            row["cells"].pop(timed, None)
    return rows


def space_file(folder: Path, **parameters: str) -> str:
    """A space called ``s``; double underscores stand for dots of the keys."""
    lines = [f"  {key.replace('__', '.')}: {value}" for key, value in parameters.items()]
    path = folder / "s.yaml"
    path.write_text("\n".join(["name: s", "parameters:", *lines]) + "\n", encoding="utf-8")
    return str(path)
