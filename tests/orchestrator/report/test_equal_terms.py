"""On what terms arms are compared: examples, steps, time and tuning, and where they differ."""

import io
import json
from typing import Any

import pytest
from rich.console import Console

from orchestrator.report.equal_terms import Tuned, Tuning, tuning_text
from orchestrator.report.markup import latex, markdown
from orchestrator.report.page.page import report_html
from orchestrator.report.render import print_table, table_csv, table_json
from orchestrator.report.table import Row, Table, comparison
from orchestrator.report.views import EQUAL
from tests.helpers.records import TASKS, Trial, by_key, record, trial
from trainables.results.record import TrialRecord

SEEN = {"single_task": (100, 4), "naive_concat": (300, 10), "shared_encoder": (300, 12)}
"""Examples and steps of a trial, in two passes over three tasks."""


def table(
    *,
    seeds: tuple[int, ...] = (41, 42),
    tuned: Tuned | None = None,
    tuned_arms: tuple[str, ...] = (),
    **seen: tuple[int, int],
) -> Table:
    """Three arms; ``seen`` are their examples and steps."""
    plan: list[Trial] = []
    records: list[TrialRecord] = []
    for arm, (examples, steps) in (SEEN | seen).items():
        for seed in seeds:
            for tasks in [[t] for t in TASKS] if arm == "single_task" else [list(TASKS)]:
                training: dict[str, Any] = {"epochs": 2, "batch_size": 32}
                planned = trial(arm, tasks, seed=seed, training=training, tuned=arm in tuned_arms)
                plan.append(planned)
                records.append(record(planned, examples=examples, steps=steps, threads=2))
    return comparison(plan, by_key(*records), tuned=tuned)


def row(table: Table, arm: str) -> Row:
    return next(row for row in table.rows if row.arm == arm)


def mean(table: Table, arm: str, key: str) -> float:
    stat = row(table, arm).cells[key].stat
    assert stat is not None
    return stat.mean


def test_a_single_task_row_sums_over_its_tasks_and_time_counts_every_thread() -> None:
    made = table()
    assert mean(made, "single_task", "examples") == 300
    assert mean(made, "single_task", "steps") == 12
    assert mean(made, "single_task", "device_seconds") == 3 * 10.0 * 2
    assert mean(made, "shared_encoder", "device_seconds") == 10.0 * 2


def test_a_gpu_counts_once_however_many_threads_feed_it() -> None:
    planned = trial()
    made = comparison([planned], by_key(record(planned, device="cuda:0", threads=8)))
    assert mean(made, "shared_encoder", "device_seconds") == 10.0


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({}, None),
        # Batches that are not full: a step for each task and pass, a batch for each pass.
        ({"naive_concat": (300, 6)}, None),
        ({"shared_encoder": (364, 12)}, None),
        ({"naive_concat": (300, 5)}, "naive_concat against single_task, tiny: optimiser steps 5 "),
        ({"shared_encoder": (365, 12)}, "tiny: examples seen 365 against 300 a seed."),
        (
            {"single_task": (3000, 100)},
            "examples seen 300 against 9,000 a seed; optimiser steps 12 against 300 a seed.",
        ),
    ],
)
def test_terms_differ_by_more_than_batches_that_are_not_full(seen, words) -> None:
    made = table(**seen)
    assert made.unequal is not None
    assert bool(made.unequal) == (words is not None)
    assert words is None or any(words in line for line in made.unequal)


@pytest.mark.parametrize(
    ("single", "shared", "words"),
    [
        ((16, 16, 16), (16,), None),
        ((16, 16, 16), (4,), "tuning trials 4 against 3 x 16"),
        ((16, 15, 16), (16,), "tuning trials 16 against 16 + 15 + 16"),
        ((), (16,), "tuning trials 16 against 0"),
    ],
)
def test_tuning_is_as_many_trials_for_every_group(single, shared, words) -> None:
    arms = ("single_task", "shared_encoder") if single else ("shared_encoder",)
    spent = {("single_task", "tiny"): Tuning(single, 9), ("shared_encoder", "tiny"): Tuning(shared)}
    made = table(tuned=spent, tuned_arms=arms)
    assert row(made, "naive_concat").tuning == Tuning()
    assert made.unequal is not None
    mine = [line for line in made.unequal if line.startswith("shared_encoder")]
    assert bool(mine) == (words is not None)
    assert words is None or words in mine[0]
    assert json.loads(table_json(made))["rows"][-1]["tuning"]["trials"] == list(shared)
    # Of a tuned row of which nobody knows it, nothing is claimed.
    unknown = table(tuned_arms=("single_task", "shared_encoder"))
    assert row(unknown, "shared_encoder").tuning is None
    assert not unknown.unequal


def test_training_of_others_that_trials_build_on_is_pointed_out() -> None:
    plan = [trial("single_task", [task]) for task in TASKS]
    plan.append(trial(teachers={"cola": ("0" * 12,)}))
    made = comparison(plan, by_key(*map(record, plan)))
    assert made.unequal is not None
    assert "learn from or start from others" in made.unequal[-1]


@pytest.mark.parametrize("seen", [{}, {"shared_encoder": (900, 36)}])
def test_every_format_tells_the_terms(seen) -> None:
    made = table(**seen)
    console = Console(file=io.StringIO(), width=200)
    print_table(console, made)
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert ("Equal terms" in told) == bool(seen)
    for text in (told, markdown(made), latex(made).replace("\\_", "_"), report_html(made)):
        assert (EQUAL in text) == (not seen)
        assert ("examples seen 900 against 300" in text) == bool(seen)
    assert "examples.mean" in table_csv(made)
    assert json.loads(table_json(made))["unequal"] == list(made.unequal or ())


def test_before_the_first_record_nothing_is_claimed() -> None:
    plan = [trial(arm, seed=1) for arm in ("naive_concat", "shared_encoder")]
    made = comparison(plan, {})
    assert made.unequal is None
    assert EQUAL not in markdown(made)


def test_numbers_of_groups_are_written_short() -> None:
    texts = [tuning_text(Tuning(n)) for n in ((), (4,), (4, 4), (4, 3))]
    assert texts == ["0", "4", "2 x 4", "4 + 3"]
