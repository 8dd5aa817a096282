"""Differences with intervals and verdicts, from predictions; and what the answer says of them."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from orchestrator.analysis.intervals import mean_difference
from orchestrator.analysis.looks import Look
from orchestrator.analysis.pseudo_values import of_classes, of_numbers
from orchestrator.report.render import table_json
from orchestrator.report.table import ComparedRows, Table
from tests.helpers.predicted_grids import EXAMPLES, LABELS, Grid, grid, predicted
from tests.helpers.records import record, trial
from trainables.config.task import TaskConfig
from trainables.results.metrics import counts, moments, ranks, trimmed
from trainables.results.predictions import Predictions
from trainables.results.record import Moments


def lines(table: Table) -> dict[tuple[str, str, str], ComparedRows]:
    return {(c.label, c.reference, c.scope): c for c in table.comparisons}


def test_every_arm_is_compared_with_single_task_and_shared_with_naive() -> None:
    table = grid(naive_concat=0.7, shared_encoder=0.9, naive_concat_union=0.8).table()
    primary = [(c.label, c.reference) for c in table.comparisons if c.primary]
    assert primary == [
        ("naive_concat", "single_task"),
        ("shared_encoder", "single_task"),
        ("naive_concat_union", "single_task"),
        ("shared_encoder", "naive_concat"),
    ]
    assert {c.scope for c in table.comparisons if c.primary} == {"macro"}
    assert {c.scope for c in table.comparisons if not c.primary} == {"sst2", "mrpc"}
    assert {c.comparisons for c in table.comparisons} == {4, 8}
    words = {(a, b): c.word for (a, b, scope), c in lines(table).items() if scope == "macro"}
    assert words == {
        ("naive_concat", "single_task"): "worse",
        ("shared_encoder", "single_task"): "better",
        ("naive_concat_union", "single_task"): "equivalent",
        ("shared_encoder", "naive_concat"): "better",
    }


def test_the_numbers_are_those_of_the_analysis() -> None:
    made = grid(tasks=("cola", "sst2"), shared_encoder=0.83)
    found = lines(made.table())
    arms: dict[str, dict[str, list[np.ndarray]]] = {}
    for planned in made.plan:
        for task, part in made.predictions[planned.key].items():
            arms.setdefault(planned.config.arm_name, {}).setdefault(task, []).append(
                part.predictions
            )
    metrics: dict[str, Any] = {"cola": "matthews", "sst2": "accuracy"}
    pairs: dict[str, Any] = {
        task: [
            of_classes(metric, LABELS, np.array(arms[arm][task]), 2)
            for arm in ("shared_encoder", "single_task")
        ]
        for task, metric in metrics.items()
    }
    for scope, tasks in {"macro": ["cola", "sst2"], "cola": ["cola"], "sst2": ["sst2"]}.items():
        wanted = mean_difference([pairs[task] for task in tasks])
        made_line = found["shared_encoder", "single_task", scope]
        assert made_line.difference == wanted.value
        low, high = made_line.interval
        assert (high - low) / 2 == pytest.approx(wanted.half_width())
        assert (made_line.seeds, made_line.examples) == ((5, 5), EXAMPLES)


def test_a_regression_and_one_task_alone() -> None:
    rng = np.random.default_rng(1)
    targets = rng.normal(size=EXAMPLES)
    made = Grid()
    runs: dict[str, list[np.ndarray]] = {"single_task": [], "shared_encoder": []}
    for arm, noise in (("single_task", 0.5), ("shared_encoder", 1.5)):
        for seed in (1, 2, 3):
            numbers = targets + noise * rng.normal(size=EXAMPLES)
            planned = trial(arm, {"stsb": "spearman"}, seed=seed)
            result = {
                "numbers": Moments.of(moments(targets, numbers)),
                "ranks": Moments.of(moments(ranks(targets), ranks(numbers))),
            }
            made.plan.append(planned)
            made.records.append(record(planned, {}, results={"validation": {"stsb": result}}))
            made.predictions[planned.key] = {"stsb": Predictions(targets, numbers)}
            runs[arm].append(numbers)
    [line] = made.table().comparisons
    a, b = (
        of_numbers("spearman", targets, np.array(runs[arm]))
        for arm in ("shared_encoder", "single_task")
    )
    assert (line.scope, line.primary, line.word) == ("stsb", True, "worse")
    assert line.difference == pytest.approx(a.scores.mean() - b.scores.mean())
    assert line.margin == 0.05


def test_margins_are_the_users_or_the_defaults() -> None:
    made = grid(tasks=("cola", "mrpc"), shared_encoder=0.8)
    margins = {c.scope: c.margin for c in made.table().comparisons}
    assert margins == {"macro": 0.02, "cola": 0.05, "mrpc": 0.03}
    line = "macro 2, cola 5, mrpc 3 (points that are of no consequence)"
    assert ("margins", line) in made.table().header
    assert "margins" not in dict(made.table(predictions=None).header)
    own = {c.scope: c.margin for c in made.table(margins={"mrpc": 0.1}).comparisons}
    assert own == margins | {"mrpc": 0.1}
    assert lines(made.table(margins={"macro": 0.0001}))[
        "shared_encoder", "single_task", "macro"
    ].word == ("undecided")


def test_seeds_without_predictions_are_left_out_and_an_arm_without_any_has_no_line() -> None:
    made = grid(shared_encoder=0.9, naive_concat=0.7)
    for planned in made.plan:
        if planned.config.seed == 41 or planned.config.arm_name == "naive_concat":
            del made.predictions[planned.key]
    table = made.table()
    assert {(c.label, c.seeds) for c in table.comparisons} == {("shared_encoder", (4, 4))}
    # What was planned still shares the chance of an error.
    assert {c.comparisons for c in table.comparisons if c.primary} == {3}


def test_rows_that_were_scored_on_other_examples_are_not_compared() -> None:
    made = grid(shared_encoder=0.9)
    key = next(t.key for t in made.plan if t.config.arm_name == "shared_encoder")
    part = made.predictions[key]["mrpc"]
    made.predictions[key]["mrpc"] = Predictions(part.labels[:-1], part.predictions[:-1])
    assert {c.scope for c in made.table().comparisons} == {"sst2"}


def test_without_predictions_the_scores_alone_speak_and_claim_nothing() -> None:
    made = grid(shared_encoder=0.9)
    table = made.table(predictions=None)
    assert table.comparisons == ()
    assert "no claim of significance" in table.verdict[0]
    assert "comparisons" not in json.loads(table_json(table))


def test_json_has_every_comparison() -> None:
    table = grid(shared_encoder=0.9).table()
    content = json.loads(table_json(table))["comparisons"]
    assert [c["word"] for c in content] == [c.word for c in table.comparisons]
    assert content[0]["interval"] == list(table.comparisons[0].interval)


def test_a_look_among_others_has_a_level_of_its_own() -> None:
    made = grid(shared_encoder=0.82)
    only, first = made.table(look=Look(5, (5,))), made.table(look=Look(5, (5, 10)))
    widths = [
        (c.interval[1] - c.interval[0], c.equivalence_interval[1] - c.equivalence_interval[0])
        for c in (only.comparisons[0], first.comparisons[0])
    ]
    assert widths[0] < widths[1]
    # 95 % is wider than 90, and what one look has for itself is what two have for equivalence.
    assert widths[0][0] == pytest.approx(widths[1][1])
    assert (only.comparisons[0].level, first.comparisons[0].level) == (0.05, 0.025)
    assert any("(97.5 %, 5 seeds, " in line for line in first.verdict)
    assert not any(line.startswith("looks: ") for line in only.verdict)
    assert first.verdict[-1].startswith("looks: Each word above has a chance of error of 2.5 %")
    # Advice is about the next look, also where none is planned.
    assert only.comparisons[0].chance == first.comparisons[0].chance
    told = json.loads(table_json(first))["look"]
    assert told == {
        "number": 1, "of": 2, "seeds": 5, "looks": [5, 10], "added": [], "level": 0.025,
        "missing": 0, "undecided": ["shared_encoder against single_task (tiny)"], "impossible": [],
    }  # fmt: skip


def test_runs_that_predict_one_class_make_it_unstable() -> None:
    made = grid(seeds=4, shared_encoder=0.9)
    rng = np.random.default_rng(9)
    made.add("shared_encoder", 45, {"sst2": np.ones(EXAMPLES, int), "mrpc": predicted(rng, 0.9)})
    made.add("single_task", 45, {task: predicted(rng, 0.8) for task in ("sst2", "mrpc")})
    found = lines(made.table())
    macro = found["shared_encoder", "single_task", "macro"]
    assert (macro.word, macro.collapsed) == ("unstable", (1, 0))
    assert found["shared_encoder", "single_task", "mrpc"].word == "better"


def test_equal_seeds_are_one_seed() -> None:
    made = grid(seeds=3)
    same = {task: predicted(np.random.default_rng(5), 0.9) for task in ("sst2", "mrpc")}
    for seed in (41, 42, 43):
        made.add("shared_encoder", seed, same)
    assert {line.word for line in made.table().comparisons} == {"undecided"}


def grouped(groups: np.ndarray | None, of_last: np.ndarray | None) -> Table:
    """Two arms of three seeds; the last run knows of other groups than the others."""
    rng = np.random.default_rng(7)
    made = Grid()
    for arm, mean in (("single_task", 0.8), ("shared_encoder", 0.83)):
        for seed in (1, 2, 3):
            last = arm == "shared_encoder" and seed == 3
            made.add(arm, seed, {"sst2": predicted(rng, mean)}, of_last if last else groups)
    return made.table()


def test_examples_of_a_group_are_one_draw() -> None:
    """Where all runs know of the same groups; else each example counts, and the header says so."""
    writers = np.arange(EXAMPLES) // 8
    [line], [single] = grouped(writers, writers).comparisons, grouped(None, None).comparisons
    assert (line.examples, line.groups) == (EXAMPLES // 8, {"sst2": EXAMPLES // 8})
    assert (single.examples, single.groups) == (EXAMPLES, {})
    assert line.difference == single.difference
    assert line.interval != single.interval
    assert "400 examples in 50 groups" in line.sentence
    for other in (None, writers[::-1].copy()):
        assert grouped(writers, other).comparisons == (single,)
    one = np.zeros(EXAMPLES, int)
    assert grouped(one, one).comparisons == (single,)


def by_writer(tasks: dict[str, TaskConfig]) -> dict[str, TaskConfig]:
    return {name: task.model_copy(update={"group": "writer"}) for name, task in tasks.items()}


def test_the_header_says_what_is_known_of_groups() -> None:
    made = Grid()
    rng = np.random.default_rng(8)
    for arm in ("single_task", "shared_encoder"):
        for seed in (1, 2, 3):
            made.add(arm, seed, {"sst2": predicted(rng, 0.8)}, np.arange(EXAMPLES) // 8)
    made.plan = [
        replace(t, config=t.config.model_copy(update={"tasks": by_writer(t.config.tasks)}))
        for t in made.plan
    ]
    known = "sst2 by writer: 400 examples that are 50 draws"
    assert ("groups", known) in made.table().header
    for parts in made.predictions.values():
        parts["sst2"] = Predictions(LABELS, parts["sst2"].predictions)
    unknown = "sst2 by writer: 400 examples that the predictions do not have"
    assert dict(made.table().header)["groups"].startswith(unknown)


def test_seeds_are_paired_where_both_rows_have_the_same() -> None:
    made = grid(shared_encoder=0.83, naive_concat=0.7)
    for planned in made.plan:
        if planned.config.seed == 41 and planned.config.arm_name == "naive_concat":
            del made.predictions[planned.key]
    table = made.table(pair_seeds=True)
    found = {(c.label, c.reference): c for c in table.comparisons if c.primary}
    assert {pair: c.paired_seeds for pair, c in found.items()} == {
        ("shared_encoder", "single_task"): True,
        ("naive_concat", "single_task"): False,
        ("shared_encoder", "naive_concat"): False,
    }
    paired = found["shared_encoder", "single_task"]
    assert "5 paired seeds" in paired.sentence
    apart = lines(made.table())["shared_encoder", "single_task", "macro"]
    assert paired.difference == apart.difference
    assert paired.interval != apart.interval
    assert dict(table.header)["pair_seeds"] == (
        "seeds are differenced, but not of naive_concat and single_task (tiny), shared_encoder and "
        "naive_concat (tiny): they need the same 5 seeds or more"
    )
    assert "pair_seeds" not in dict(made.table().header)
    assert not any(
        c.paired_seeds for c in grid(seeds=4, shared_encoder=0.9).table(pair_seeds=True).comparisons
    )


def test_where_all_runs_predict_one_class_nothing_is_left() -> None:
    made = Grid()
    ones = np.ones(EXAMPLES, dtype=int)
    for seed in (1, 2):
        for arm in ("single_task", "shared_encoder"):
            made.add(arm, seed, {"sst2": ones})
    [line] = made.table().comparisons
    assert line.sentence == (
        "shared_encoder against single_task on sst2 is unstable: all runs of both predicted one "
        "class on sst2; nothing is left to compare."
    )


def test_a_class_that_most_labels_are_is_no_collapse() -> None:
    """A good model of a rare class predicts the other nearly always."""
    made = Grid()
    rng = np.random.default_rng(2)
    for arm in ("single_task", "shared_encoder"):
        for seed in (1, 2, 3):
            wrong = rng.random(EXAMPLES) < 0.002
            labels = np.arange(EXAMPLES) % 100 == 0
            planned = trial(arm, {"spam": "accuracy"}, seed=seed)
            values = np.where(wrong, ~labels, labels).astype(int)
            confusion = trimmed(counts(labels.astype(int), values, 2)).tolist()
            made.plan.append(planned)
            made.records.append(record(planned, {"spam": confusion}))
            made.predictions[planned.key] = {"spam": Predictions(labels.astype(int), values)}
    [line] = made.table().comparisons
    assert line.collapsed == (0, 0)


def test_a_task_that_the_labels_leave_undefined_is_left_out() -> None:
    made = Grid()
    rng = np.random.default_rng(3)
    ones = np.ones(EXAMPLES, dtype=int)
    for arm in ("single_task", "shared_encoder"):
        for seed in (1, 2, 3):
            for names in [["cola"], ["sst2"]] if arm == "single_task" else [["cola", "sst2"]]:
                planned = trial(arm, names, seed=seed)
                own = {
                    "cola": Predictions(ones, predicted(rng, 0.8)),
                    "sst2": Predictions(LABELS, predicted(rng, 0.8)),
                }
                made.plan.append(planned)
                made.predictions[planned.key] = {task: own[task] for task in names}
                confusions = {
                    task: trimmed(counts(own[task].labels, own[task].predictions, 2)).tolist()
                    for task in names
                }
                made.records.append(record(planned, confusions))
    assert {c.scope for c in made.table().comparisons} == {"sst2"}
