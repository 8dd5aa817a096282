"""Verdicts from some seeds beside the others, and what real runs are like for the simulation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.large_grid import PER_SEED, draw_run_dir
from benchmarks.real_seeds import Runs, agreement, fits, main, read_runs, report
from benchmarks.simulated_grids import TASKS, Condition, TaskModel
from tests.helpers.records import Trial, by_key, record, trial
from trainables.results.metrics import counts, trimmed
from trainables.results.predictions import Predictions
from trainables.results.record import TrialRecord, read_records
from trainables.storage.run_dir import RunDir


def drawn_runs(points: float, seeds: int, examples: int | None = None) -> Runs:
    """Runs of two simulated arms, of which ``shared_encoder`` is better by so many points."""
    condition = Condition("drawn", 1.0, 0.8, 0.1, points=points)
    predictions: dict[tuple[str, int], dict[str, Predictions]] = {}
    for number, (name, task) in enumerate(TASKS.items()):
        model = TaskModel(replace(task, examples=examples or task.examples), condition)
        drawn = model.draw(np.random.default_rng(number), seeds)
        for arm, own in zip(("single_task", "shared_encoder"), drawn.predictions, strict=False):
            for seed, predicted in enumerate(own):
                predictions.setdefault((arm, seed), {})[name] = Predictions(drawn.labels, predicted)
    plan: list[Trial] = []
    records: list[TrialRecord] = []
    by_trial = {}
    for (arm, seed), of_tasks in predictions.items():
        for names in [[name] for name in of_tasks] if arm == "single_task" else [list(of_tasks)]:
            planned = trial(arm, names, seed=seed)
            own = by_trial[planned.key] = {name: of_tasks[name] for name in names}
            confusions = {
                name: trimmed(counts(part.labels, part.predictions, 2)).tolist()
                for name, part in own.items()
            }
            plan.append(planned)
            records.append(record(planned, confusions))
    return Runs(tuple(plan), by_key(*records), by_trial, {})


def test_the_fit_finds_what_the_runs_were_drawn_from() -> None:
    fitted = fits(drawn_runs(0.0, seeds=24, examples=4000))
    for name, task in TASKS.items():
        fit = fitted[name].task
        assert fit.positives == pytest.approx(task.positives, abs=0.03)
        assert fit.recalls == pytest.approx(task.recalls, abs=0.03)
        assert fit.noise == pytest.approx(task.noise, rel=0.3)
        assert fit.difficulty == pytest.approx((0.8, 0.1), abs=0.03)
        assert fitted[name].same_arm > fitted[name].other_arm > fitted[name].accuracy


def test_verdicts_agree_with_the_other_seeds_where_arms_are_far_apart() -> None:
    found = agreement(drawn_runs(6.0, seeds=12), 4, seed=1)
    assert list(found) == [3, 5]
    for counted in found.values():
        assert counted.cases["covers"] == 4 * 4  # draws x (three tasks and their mean)
        assert counted.percent("better") > 50
        assert counted.percent("contradicted") == 0
        assert counted.percent("covers") > 80


def test_equal_arms_are_told_what_would_settle_it() -> None:
    found = agreement(drawn_runs(0.0, seeds=20), 4, seed=1)
    assert list(found) == [3, 5, 10]
    assert sum(counted.cases.get("told a number", 0) for counted in found.values()) > 0
    settled = [c.cases.get("settled", 0) <= c.cases.get("told a number", 0) for c in found.values()]
    assert all(settled)


def test_the_report_has_every_table() -> None:
    text = "\n".join(report(drawn_runs(0.0, seeds=10), draws=2, grids=2, seed=1))
    assert "| tiny | shared_encoder - single_task | macro |" in text
    assert "| interval covers the other seeds' difference |" in text
    assert "| cola | 8" in text
    assert "| 95 % interval covers |" in text
    assert "nan" not in text


def test_a_seed_counts_once_all_its_trials_have_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_run_dir(tmp_path / "run", 3 * PER_SEED)
    run_dir = RunDir(tmp_path / "run")
    of_seed_2 = next(r for r in read_records(run_dir, {}).values() if r.config.seed == 2)
    run_dir.record(of_seed_2.key).unlink()
    assert read_runs([run_dir.root]).seeds == [0, 1]
    other = read_runs([run_dir.root], [of_seed_2.config.arm_name])
    assert {planned.config.arm_name for planned in other.plan} == {of_seed_2.config.arm_name}
    assert main([str(run_dir.root)]) == 2
    assert "2 seeds have ended, 8 are needed" in capsys.readouterr().out
