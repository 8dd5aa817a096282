"""Both executors give the same numbers and take the same decisions, bit for bit."""

import io
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from rich.console import Console

from orchestrator.commands.experiment import Experiment
from orchestrator.commands.tune import TunedExperiment
from orchestrator.execution.executor import Decision, TrialScheduler, each
from orchestrator.execution.local_executor import LocalExecutor
from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.state import Expected, GridProgress
from orchestrator.planning.grid import Config
from orchestrator.planning.plan import PlannedTrial
from orchestrator.planning.resources import TrialResources
from tests.helpers.local_search import compared, ledger_lines, reported
from tests.helpers.ray_grid import Grid, measured_all
from tests.helpers.shared_ray import with_ray
from tests.helpers.trials import trial_config
from trainables.results.record import read_records
from trainables.storage.run_dir import RunDir

STUDENT = "define.arms.student={strategy: shared_encoder, distillation: {teachers: single_task}}"
TINY = (
    "limits={max_train_examples: 64, max_validation_examples: 16}",
    "training.epochs=2",
    "training.batch_size=8",
    "checkpoint.every=0",
)


def ray_processes() -> set[int]:
    """Processes of Ray that descend from this one."""
    return {p.pid for p in psutil.Process().children(recursive=True) if "ray" in p.name()}


def local(config: Config) -> LocalExecutor:
    """An executor of this process that notices processes that it starts."""
    before = ray_processes()

    def before_step(trial: PlannedTrial) -> None:
        assert ray_processes() <= before

    return LocalExecutor(config, before_step=before_step)


def overrides(folder: Path, encoder: Path, *settings: str) -> list[str]:
    cache = f"data.cache_dir={folder / 'cache'}"
    return [*Grid(folder, encoder, settings).overrides(), cache]


def assert_same_trials(ours: RunDir, theirs: RunDir) -> None:
    """Records and predictions are equal but for times and machine."""
    records = measured_all(read_records(ours))
    assert records == measured_all(read_records(theirs))
    assert {record["status"] for record in records.values()} <= {"finished"}
    for key in records:
        mine, other = (pd.read_parquet(run_dir.predictions(key)) for run_dir in (ours, theirs))
        pd.testing.assert_frame_equal(mine, other, check_exact=True)


@pytest.mark.ray
def test_a_grid_of_all_strategies_with_a_teacher_is_the_same_through_both(
    shared_ray: str, tiny_bert: Path, tmp_path: Path
) -> None:
    arms = "arms=[single_task,naive_concat,shared_encoder,student]"
    experiment = Experiment.load("demo", overrides(tmp_path, tiny_bert, STUDENT, arms, *TINY))
    here, there = RunDir(tmp_path / "local"), RunDir(tmp_path / "ray")
    outcome = experiment.run(here.root, console=quiet(), executor=local)
    assert outcome.trained == len(experiment.plan().trials) == 5
    with with_ray(shared_ray) as executor:
        experiment.run(there.root, console=quiet(), executor=executor)
    assert_same_trials(here, there)
    assert compared(here.root) == compared(there.root)


@pytest.mark.ray
def test_a_search_takes_the_same_decisions_through_both(
    shared_ray: str, tiny_bert: Path, tmp_path: Path
) -> None:
    search = ("arms=[shared_encoder]", "resources.max_concurrent=1")
    tune = ("tune={trials: 4, search: optuna, reduction: 2, grace: 0.4}",)
    settings = overrides(tmp_path, tiny_bert, *TINY, *search, *tune)
    experiment = TunedExperiment.load("demo", "quick", settings)
    here, there = RunDir(tmp_path / "local"), RunDir(tmp_path / "ray")
    experiment.run(here.root, console=quiet(), executor=local)
    with with_ray(shared_ray) as executor:
        experiment.run(there.root, console=quiet(), executor=executor)
    assert ledger_lines(here.root) == ledger_lines(there.root)
    assert reported(here.root) == reported(there.root)
    assert compared(here.root) == compared(there.root)
    assert_same_trials(here, there)
    assert_same_trials(RunDir(here.root / "search"), RunDir(there.root / "search"))


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


class Following(TrialScheduler):
    """Notes what it is told, and stops one trial at its first result."""

    def __init__(self, stopped: str = "") -> None:
        self.stopped = stopped
        self.events: list[tuple[str, str]] = []

    def on_trial_add(self, trial: PlannedTrial) -> None:
        self.events.append(("add", trial.key))

    def on_trial_result(self, trial: PlannedTrial, result: Mapping[str, Any]) -> Decision:
        self.events.append(("result", trial.key))
        return "stop" if trial.key == self.stopped else "continue"

    def on_trial_complete(self, trial: PlannedTrial) -> None:
        self.events.append(("complete", trial.key))


def run_here(
    folder: Path,
    trials: list[PlannedTrial],
    at_once: int = 1,
    scheduler: TrialScheduler | None = None,
) -> RunDir:
    """Run trials in this process, a step at a time."""
    run_dir = RunDir(folder)
    folder.mkdir(exist_ok=True)
    config = Experiment.load("demo", ["checkpoint.every=0"]).config
    expected = [Expected(trial.key, trial.config.title, "tiny", 40) for trial in trials]
    with LiveView(GridProgress(expected), quiet()) as view:
        LocalExecutor(config, slice_seconds=0.0, release=lambda: None).run(
            each(trials),
            run_dir,
            view,
            resources=TrialResources(1, 0.0, at_once),
            glue_dir=None,
            artifacts={},
            scheduler=scheduler,
        )
    return run_dir


def seeds(encoder: Path, *numbers: int, **training: Any) -> list[PlannedTrial]:
    return [
        PlannedTrial(trial_config("shared_encoder", encoder, seed=n, epochs=1, **training), 40, 1.0)
        for n in numbers
    ]


def test_trials_that_take_turns_have_the_numbers_of_trials_alone(
    tiny_bert: Path, tmp_path: Path
) -> None:
    trials = seeds(tiny_bert, 1, 2, 3)
    scheduler = Following()
    together = run_here(tmp_path / "together", trials, at_once=3, scheduler=scheduler)
    first = [key for kind, key in scheduler.events if kind == "result"][:3]
    assert first == [trial.key for trial in trials], "they take turns"
    assert_same_trials(together, run_here(tmp_path / "alone", trials))


def test_a_stopped_trial_leaves_no_record_and_the_others_theirs(
    tiny_bert: Path, tmp_path: Path
) -> None:
    first, second = seeds(tiny_bert, 1, 2)
    scheduler = Following(stopped=first.key)
    run_dir = run_here(tmp_path / "run", [first, second], scheduler=scheduler)
    assert read_records(run_dir).keys() == {second.key}
    assert scheduler.events[:4] == [
        ("add", first.key),
        ("result", first.key),
        ("complete", first.key),
        ("add", second.key),
    ]
    assert scheduler.events[-1] == ("complete", second.key)


def test_a_trial_that_fails_leaves_a_record_and_the_next_one_runs(
    tiny_bert: Path, tmp_path: Path
) -> None:
    [diverging] = seeds(tiny_bert, 1, learning_rate=1e30)
    [sound] = seeds(tiny_bert, 2)
    scheduler = Following()
    run_dir = run_here(tmp_path / "run", [diverging, sound], scheduler=scheduler)
    statuses = {key: record.status for key, record in read_records(run_dir).items()}
    assert statuses == {diverging.key: "diverged", sound.key: "finished"}
    completed = [key for kind, key in scheduler.events if kind == "complete"]
    assert completed == [diverging.key, sound.key]


def test_the_random_state_of_the_caller_is_left_as_it_was(tiny_bert: Path, tmp_path: Path) -> None:
    before = random.getstate(), repr(np.random.get_state()), torch.get_rng_state().tolist()
    run_here(tmp_path / "run", seeds(tiny_bert, 1))
    after = random.getstate(), repr(np.random.get_state()), torch.get_rng_state().tolist()
    assert after == before
