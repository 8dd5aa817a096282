"""Confusion matrices are sums over seeds."""

from typing import Any

import numpy as np

from orchestrator.report.page.confusions import OTHER, Confusion, confusions
from orchestrator.report.rows import table_rows
from tests.helpers.records import by_key, record, trial
from trainables.results.metrics import moments
from trainables.results.record import Moments


def made(*matrices: list[list[int]], **changes: Any) -> list[Confusion]:
    """Of one arm and task, with a seed for each matrix."""
    plan = [trial("shared_encoder", ["sst2"], seed=seed) for seed in range(len(matrices))]
    records = [
        record(one, {"sst2": matrix}, **changes) for one, matrix in zip(plan, matrices, strict=True)
    ]
    return confusions(table_rows(plan, by_key(*records), "validation"))


def test_the_seeds_are_added_up_and_what_leaked_has_a_column() -> None:
    [confusion] = made([[3, 1], [2, 4]], [[2, 1, 1], [0, 6, 0]])
    assert confusion.counts == ((5, 2, 1), (2, 10, 0))
    assert confusion.labels == ("sst2_0", "sst2_1")
    assert confusion.predicted == ("sst2_0", "sst2_1", OTHER)
    assert confusion.seeds == 2
    assert confusion.share(0, 0) == 62.5


def test_of_many_classes_the_most_frequent_confusions_are_listed() -> None:
    matrix = np.diag([9] * 12)
    matrix[3, 4], matrix[0, 11] = 5, 7
    [confusion] = made(matrix.tolist())
    assert confusion.counts == ()
    assert confusion.mistakes == (("sst2_0", "sst2_11", 7), ("sst2_3", "sst2_4", 5))


def test_failed_runs_and_regressions_have_none() -> None:
    planned = trial("shared_encoder", ["sst2"])
    failed = by_key(record(planned, status="failed", error="x"))
    assert confusions(table_rows([planned], failed, "validation")) == []
    sums = Moments.of(moments(np.array([1.0, 2, 3]), np.array([1.0, 2, 4])))
    planned = trial("shared_encoder", {"sts": "pearson"})
    results = {"validation": {"sts": {"numbers": sums, "ranks": sums}}}
    ended = by_key(record(planned, {}, results=results, labels={}))
    assert confusions(table_rows([planned], ended, "validation")) == []
