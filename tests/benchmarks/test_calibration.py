"""The simulated grids have the truth that is stated, and the tables say what was counted."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import simulated_grids
from benchmarks.calibration import (
    LIMITS,
    NAMES,
    Counts,
    Result,
    advice_conditions,
    conditions,
    count,
    count_advice,
    passed,
    tables,
)
from benchmarks.simulated_grids import METRICS, TASKS, Condition, TaskModel


def test_the_true_difference_is_that_of_many_runs_on_many_examples() -> None:
    condition = Condition("any", 1.5, 0.75, 0.10, points=2.0)
    task = replace(TASKS["cola"], examples=20_000)
    drawn = TaskModel(task, condition).draw(np.random.default_rng(0), 40)
    right = drawn.predictions == drawn.labels
    ones = drawn.labels == 1
    for metric in METRICS:
        values = METRICS[metric](
            (right & ones).sum(-1), (right & ~ones).sum(-1), ones.sum(), (~ones).sum()
        ).mean(axis=1)
        model = condition.arms["cola"]
        truth = model.mean(metric, 1) - model.mean(metric, 0)
        noise = np.sqrt(2) * 0.04 / np.sqrt(40)
        assert values[1] - values[0] == pytest.approx(truth, abs=3 * noise)
        if metric == "accuracy":
            assert truth == pytest.approx(0.02)
            assert values[0] == pytest.approx(0.83, abs=3 * noise)


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_seeds_vary_and_are_correlated_as_is_said(correlation: float) -> None:
    condition = Condition("any", 1.5, 0.9, 0.04, correlation)
    model = TaskModel(replace(TASKS["sst2"], examples=4000), condition)
    drawn = model.draw(np.random.default_rng(1), 300)
    accuracy = (drawn.predictions == drawn.labels).mean(axis=-1)
    assert 100 * accuracy.std(axis=1).mean() == pytest.approx(1.5, rel=0.15)
    assert np.corrcoef(accuracy[0], accuracy[1])[0, 1] == pytest.approx(correlation, abs=0.2)


def test_a_grid_with_more_seeds_keeps_those_it_has() -> None:
    condition = conditions()[0]
    rng = np.random.default_rng(2)
    drawn = condition.arms["mrpc"].draw(rng, 3)
    more = drawn.more(rng, 5)
    assert more.predictions.shape == (simulated_grids.ARMS, 5, 408)
    assert (more.predictions[:, :3] == drawn.predictions).all()


def test_the_same_random_seed_counts_the_same() -> None:
    condition = conditions()[-1]
    first, again = (count(condition, 7, 3, 1, 5) for _ in range(2))
    assert first == again
    assert first.cases["coverage|macro|5"] == 3
    assert first.cases["t test over seeds|macro|10"] == 1


def test_every_question_has_a_line_and_passed_limits_are_named() -> None:
    some = [c for c in conditions() if c.seed_sd == 0.5 and c.hard == 0.9]
    cells = {condition: count(condition, 1, 0, 1, 1) for condition in some}
    cells |= {condition: count_advice(condition, 1, 0, 1) for condition in advice_conditions()[:2]}
    result = Result(1, cells)
    text = "\n".join(tables([result, result]))
    assert "| 95 % interval covers | 10 |" in text
    assert "nan" not in text
    assert all(name in text for name in NAMES)
    # One grid a condition: some cell lies at 0 or at 100 %.
    assert any(line.startswith("coverage: ") for line in passed(result))


def test_what_keeps_all_limits_passes() -> None:
    counts = Counts()
    for limit in LIMITS:
        low, high = limit.mean
        for seeds in (3, 5):
            for hit in np.arange(1000) < 5 * (low + high):
                counts.add(f"{limit.question}|{seeds}", bool(hit))
    assert passed(Result(1, {conditions()[0]: counts})) == []
