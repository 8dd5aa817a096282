"""The comparison table's numbers, marks and footnotes, on arrays small enough to check by hand."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from orchestrator.report import views
from orchestrator.report.render import table_json
from orchestrator.report.rows import Stat
from orchestrator.report.table import Cell, Row, Table, comparison
from tests.helpers.records import Trial, by_key, record, right, trial
from trainables.errors import ConfigError
from trainables.results.metrics import moments, ranks
from trainables.results.record import Moments, TrialRecord

approx = pytest.approx
PAIR = {"sst2": "accuracy", "mrpc": "accuracy"}


def rows(table: Table) -> dict[str, Row]:
    return {row.label: row for row in table.rows}


def stat(row: Row, key: str) -> Stat:
    value = row.cells[key].stat
    assert value is not None
    return value


def single(seed: int, correct: Mapping[str, int], model: str = "tiny", **changes):
    """One seed of ``single_task``: trials and records, ``correct`` of 10 right in each class."""
    plan = [trial("single_task", {task: "accuracy"}, model, seed) for task in correct]
    records = [
        record(planned, {task: right(n, 10)}, **changes)
        for planned, (task, n) in zip(plan, correct.items(), strict=True)
    ]
    return plan, records


def multi(arm: str, seed: int, correct: Mapping[str, int], model: str = "tiny", **changes):
    """One seed of a multi-task arm, ``correct`` of 10 right in each class of each task."""
    planned = trial(arm, dict.fromkeys(correct, "accuracy"), model, seed)
    return [planned], [record(planned, {t: right(n, 10) for t, n in correct.items()}, **changes)]


def table_of(*parts: tuple[list[Trial], list[TrialRecord]], **options) -> Table:
    plan = [planned for trials, _ in parts for planned in trials]
    return comparison(
        plan, by_key(*(ended for _, records in parts for ended in records)), **options
    )


def test_a_single_task_row_is_made_of_one_trial_per_task_and_seed() -> None:
    table = table_of(
        single(41, {"sst2": 8, "mrpc": 6}, train_seconds=10.0),
        single(42, {"sst2": 10, "mrpc": 6}, train_seconds=20.0),
    )
    row = rows(table)["single_task"]
    sst2 = stat(row, "sst2.accuracy")
    assert sst2.mean == approx(0.9)
    assert sst2.std == approx(0.2 / 2**0.5), "the sample standard deviation, ddof=1"
    assert stat(row, "macro").by_seed == {41: approx(0.7), 42: approx(0.8)}
    assert stat(row, "pooled.accuracy").mean == approx(0.75)
    assert stat(row, "train_seconds").by_seed == {41: 20.0, 42: 40.0}
    assert (row.seeds_complete, row.seeds_planned, row.models, row.parameters) == (2, 2, 2, 2000)


def test_one_multi_task_model_is_deployed_and_evaluation_is_not_training_time() -> None:
    row = rows(table_of(multi("shared_encoder", 41, {"sst2": 8, "mrpc": 6})))["shared_encoder"]
    assert (row.models, row.parameters) == (1, 1000)
    assert stat(row, "train_seconds").mean == 10.0


def test_a_frozen_encoder_is_stored_once_for_all_its_adapters() -> None:
    table = table_of(
        single(41, {"sst2": 8, "mrpc": 6}, trained_parameters=10),
        single(42, {"sst2": 8, "mrpc": 6}, trained_parameters=10),
    )
    row = rows(table)["single_task"]
    assert (row.models, row.parameters) == (2, 990 + 2 * 10)


def test_frozen_encoders_of_different_trials_are_each_stored() -> None:
    arm = {"strategy": "single_task", "start_from": "before", "freezing": {"name": "all"}}
    plan = [
        trial("tuned", [task], arm=arm, start_from=start)
        for task, start in (("sst2", "a" * 12), ("mrpc", "b" * 12), ("cola", "b" * 12))
    ]
    table = comparison(plan, by_key(*(record(planned, trained_parameters=10) for planned in plan)))
    assert rows(table)["tuned"].parameters == 2 * 990 + 3 * 10


def test_one_seed_has_no_standard_deviation() -> None:
    row = rows(table_of(multi("naive_concat", 41, {"sst2": 8})))["naive_concat"]
    assert stat(row, "macro").std is None
    assert stat(row, "macro").n == 1


def test_pooled_f1_weighs_examples_and_macro_weighs_tasks() -> None:
    planned = trial("shared_encoder", PAIR)
    confusions = {"sst2": [[0, 10], [0, 90]], "mrpc": [[5, 0], [5, 0]]}
    table = comparison([planned], by_key(record(planned, confusions)))
    row = rows(table)["shared_encoder"]
    assert stat(row, "macro").mean == approx((0.9 + 0.5) / 2)
    assert stat(row, "pooled.accuracy").mean == approx(95 / 110)
    assert stat(row, "pooled.f1").mean == approx(2 * 90 / (2 * 90 + 10 + 5))


def test_tasks_with_other_class_counts_have_pooled_accuracy_but_no_pooled_f1() -> None:
    planned = trial("shared_encoder", {"sst2": "accuracy", "three": "f1"})
    confusions = {"sst2": right(8, 10), "three": right(5, 10, classes=3)}
    row = rows(comparison([planned], by_key(record(planned, confusions))))["shared_encoder"]
    assert stat(row, "pooled.accuracy").mean == approx(31 / 50)
    assert row.cells["pooled.f1"].stat is None
    assert stat(row, "three.f1").mean == approx(0.5), "macro F1 of three classes"


def test_the_headline_metric_comes_first_and_only_it_is_compact() -> None:
    planned = trial("shared_encoder", {"cola": "matthews", "mrpc": "f1"})
    table = comparison([planned], by_key(record(planned)))
    keys = [column.key for column in table.columns if column.task]
    assert [key.split(".")[1] for key in keys[:3]] == ["matthews", "accuracy", "f1"]
    assert [key.split(".")[1] for key in keys[3:]] == ["f1", "accuracy", "matthews"]
    shown = [column.key for column in table.columns if column.task and column.compact]
    assert shown == ["cola.matthews", "mrpc.f1"]


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_a_trial_that_did_not_finish_is_named_and_not_in_the_mean(status: str) -> None:
    plan, records = single(42, {"sst2": 4, "mrpc": 4})
    bad = record(plan[1], status=status, error="out of memory")
    table = table_of(single(41, {"sst2": 8, "mrpc": 6}), (plan, [records[0], bad]))
    row = rows(table)["single_task"]
    assert stat(row, "mrpc.accuracy").by_seed == {41: approx(0.6)}
    assert stat(row, "sst2.accuracy").n == 2, "the other task of that seed still counts"
    assert stat(row, "macro").n == 1
    assert (row.seeds_complete, row.seeds_planned) == (1, 2)
    (note,) = table.notes
    assert row.notes == (note.number,) == (1,)
    assert note.keys == (plan[1].key,)
    for word in ("single_task tiny mrpc", "seed 42", status, "out of memory", "not in the means"):
        assert word in note.text


def test_a_planned_trial_without_a_record_counts_as_missing() -> None:
    plan, _ = multi("shared_encoder", 42, {"sst2": 8})
    table = table_of(multi("shared_encoder", 41, {"sst2": 8}), (plan, []))
    row = rows(table)["shared_encoder"]
    assert (row.seeds_complete, row.seeds_planned) == (1, 2)
    assert [note.kind for note in table.notes] == ["missing"]
    assert ("trials", "2 planned, 1 finished, 1 not run") in table.header


def test_an_unstarted_grid_gives_a_table_of_dashes() -> None:
    table = comparison([trial(), trial("single_task", ["cola"])], {})
    assert all(cell.stat is None for row in table.rows for cell in row.cells.values())
    assert "no seed is complete" in table.verdict[0]


def test_records_of_other_trials_are_ignored() -> None:
    _, strangers = multi("shared_encoder", 99, {"sst2": 1})
    plan, records = multi("shared_encoder", 41, {"sst2": 8})
    row = rows(comparison(plan, by_key(*records, *strangers)))["shared_encoder"]
    assert stat(row, "sst2.accuracy").by_seed == {41: approx(0.8)}


def test_a_degenerate_run_counts_and_equal_ones_share_a_footnote() -> None:
    plan = [trial("shared_encoder", PAIR, seed=seed) for seed in (41, 42)]
    constant = {"sst2": [[0, 5], [0, 15]], "mrpc": right(8, 10)}
    table = comparison(plan, by_key(*(record(planned, constant) for planned in plan)))
    row = rows(table)["shared_encoder"]
    assert stat(row, "sst2.accuracy").n == 2
    assert row.cells["sst2.accuracy"].notes == (1,)
    (note,) = table.notes
    assert "seeds 41, 42" in note.text
    assert "every prediction is sst2_1" in note.text
    assert len(note.keys) == 2


def test_batches_that_did_not_fit_into_memory_are_a_footnote_of_the_row() -> None:
    plan = [trial("shared_encoder", PAIR, seed=seed) for seed in (41, 42)]
    cut = record(plan[0], accumulation=((3, 2), (7, 4)), steps=90)
    table = comparison(plan, by_key(cut, record(plan[1])))
    row = rows(table)["shared_encoder"]
    assert stat(row, "sst2.accuracy").n == 2
    assert row.notes == (1,)
    (note,) = table.notes
    assert (note.kind, note.keys) == ("memory", (plan[0].key,))
    assert "seed 41: memory: " in note.text
    assert "from step 7 of 90 on each is computed in 4 parts" in note.text
    assert "in the means" in note.text


def test_a_split_of_one_class_predicted_right_is_not_degenerate() -> None:
    planned = trial("shared_encoder", ["sst2"])
    assert comparison([planned], by_key(record(planned, {"sst2": [[9, 0], [0, 0]]}))).notes == ()


def test_the_majority_class_is_a_row_that_never_wins() -> None:
    planned = trial("shared_encoder", {"cola": "matthews", "sst2": "accuracy"})
    confusions = {"cola": [[1, 0], [3, 0]], "sst2": [[3, 3], [2, 2]]}
    table = comparison([planned], by_key(record(planned, confusions)))
    row = table.rows[0]
    assert row.baseline
    cells = {key: cell.stat and cell.stat.mean for key, cell in row.cells.items()}
    assert cells["cola.accuracy"] == approx(0.75)
    assert cells["cola.f1"] == approx(2 * 3 / (2 * 3 + 1)), "class 1 is the majority"
    assert cells["cola.matthews"] == 0
    assert cells["sst2.accuracy"] == approx(0.6)
    assert cells["sst2.f1"] == 0, "class 0 is the majority, so class 1 is never predicted"
    assert cells["pooled.accuracy"] == approx(9 / 14)
    assert not any(cell.better for row in table.rows for cell in row.cells.values())
    assert table.tasks[0].majority == (1, "cola_1")


def test_what_the_labels_leave_undefined_is_in_no_mean_and_never_the_best() -> None:
    tasks = {"cola": "matthews", "sst2": "accuracy"}
    plan = [
        *(trial("single_task", {task: metric}) for task, metric in tasks.items()),
        trial("shared_encoder", tasks),
    ]
    one_class = [[3, 1], [0, 0]]
    records = by_key(
        record(plan[0], {"cola": one_class}),
        record(plan[1], {"sst2": right(6, 10)}),
        record(plan[2], {"cola": [[4, 0], [0, 0]], "sst2": right(7, 10)}),
    )
    table = comparison(plan, records)
    for row in rows(table).values():
        assert row.cells["cola.matthews"] == Cell(None, notes=(1,))
        assert row.cells["cola.f1"].stat is None
    assert stat(rows(table)["single_task"], "macro").mean == approx(0.6), "of sst2 alone"
    assert stat(rows(table)["single_task"], "cola.accuracy").mean == approx(0.75)
    shown = [field.text for field in views.compact(table).rows[-1]]
    assert shown[2:4] == ["n/a", "70.00"]
    reason = "F1 and MCC are n/a and left out of macro: every validation label is 'cola_0'"
    assert [(note.kind, note.text) for note in table.notes] == [("labels", f"cola: {reason}")]
    assert reason in dict(table.header)["task cola"]
    assert "10.00 points ahead" in table.verdict[0]


def test_a_grid_without_a_defined_headline_has_no_mean_and_says_so() -> None:
    plan = [trial(arm, {"cola": "matthews"}) for arm in ("single_task", "shared_encoder")]
    table = comparison(plan, by_key(*(record(t, {"cola": [[3, 1], [0, 0]]}) for t in plan)))
    assert {field.text for row in views.compact(table).rows for field in row[2:4]} == {"n/a"}
    assert "leave the headline metric of every task undefined" in table.verdict[0]


@pytest.mark.parametrize(
    ("positive", "confusion", "value", "named"),
    [
        (None, [[6, 2], [1, 3]], 6 / 9, "headline F1 of t_1"),
        ("t_0", [[6, 2], [1, 3]], 12 / 15, "headline F1 of t_0"),
        ("macro", [[6, 2], [1, 3]], (6 / 9 + 12 / 15) / 2, "headline macro F1"),
        (None, [[2, 0, 0], [0, 2, 0], [0, 0, 0]], 1.0, "headline macro F1"),
        ("t_2", [[2, 0, 0], [0, 1, 1], [0, 1, 3]], 6 / 8, "headline F1 of t_2"),
    ],
)
def test_f1_names_its_class(
    positive: str | None, confusion: list[list[int]], value: float, named: str
) -> None:
    planned = trial(tasks={"t": "f1"})
    task = planned.config.tasks["t"].model_copy(update={"positive": positive})
    config = planned.config.model_copy(update={"tasks": {"t": task}})
    planned = Trial(config.key, config)
    labels = [f"t_{i}" for i in range(len(confusion))]
    index = labels.index(positive) if positive in labels else positive
    results = {"validation": {"t": {"confusion": confusion, "positive": index}}}
    table = comparison([planned], by_key(record(planned, labels={"t": labels}, results=results)))
    assert stat(rows(table)["shared_encoder"], "t.f1").mean == approx(value)
    assert named in dict(table.header)["task t"]
    absent = "validation has, and of the others those that are predicted: no validation label is"
    assert any(f"{absent} 't_2'" in note.text for note in table.notes) == (value == 1)


def test_a_second_validation_split_is_shown_beside_the_first_and_in_no_mean() -> None:
    tasks = {"mnli": "accuracy", "cola": "matthews"}
    planned = trial("shared_encoder", tasks)
    both = {"mnli": {"confusion": right(8, 10)}, "cola": {"confusion": right(7, 10)}}
    results = {"validation": both, "mismatched": {"mnli": {"confusion": right(5, 10)}}}
    table = comparison([planned], by_key(record(planned, results=results)))
    row = rows(table)["shared_encoder"]
    assert stat(row, "mnli.mismatched").mean == approx(0.5)
    assert stat(row, "macro").mean == approx((0.8 + 0.4) / 2)
    assert stat(row, "pooled.accuracy").mean == approx(0.75)
    assert [column.key for column in table.columns if column.compact][:3] == [
        "mnli.accuracy",
        "mnli.mismatched",
        "cola.matthews",
    ]
    assert "cola.mismatched" not in [column.key for column in table.columns]


def numbers(targets: list[float], predictions: list[float]) -> dict[str, Any]:
    """The result of a regression."""
    of_ranks = moments(ranks(targets), ranks(predictions))
    return {"numbers": Moments.of(moments(targets, predictions)), "ranks": Moments.of(of_ranks)}


def regression_table(*results: dict[str, Any], classes: bool = True) -> Table:
    """A row of one seed per result, beside an equal classification where there are classes."""
    plan, records = [], []
    for number, result in enumerate(results):
        planned = trial(
            f"arm{number}",
            {"sts": "pearson"} | ({"sst2": "accuracy"} if classes else {}),
            arm={"strategy": "shared_encoder"},
        )
        both = {"sts": result} | ({"sst2": {"confusion": right(8, 10)}} if classes else {})
        plan.append(planned)
        labels = {"sts": [], "sst2": ["bad", "good"]}
        records.append(record(planned, labels=labels, results={"validation": both}))
    return comparison(plan, by_key(*records))


def test_a_regression_has_correlations_and_is_in_macro_but_not_in_pooled() -> None:
    table = regression_table(
        numbers([1, 2, 3, 4], [1, 3, 2, 4]), numbers([1, 2, 3, 4], [1, 1, 1, 1])
    )
    good, constant = rows(table)["arm0"], rows(table)["arm1"]
    assert stat(good, "sts.pearson").mean == approx(0.8)
    assert stat(good, "sts.spearman").mean == approx(0.8)
    assert stat(good, "macro").mean == approx(0.8)
    assert stat(good, "pooled.accuracy").mean == approx(0.8)
    assert "sts.accuracy" not in good.cells
    assert stat(constant, "macro").mean == approx(0.4)
    assert constant.cells["sts.pearson"].notes == (1,)
    (note,) = table.notes
    assert "sts, seed 41: degenerate: every prediction is 1 (in the means" in note.text
    assert views.compact(table).rows[1][2].text == "0.800"
    header = dict(table.header)
    assert "targets 2.5 ± 1.118; headline Pearson, Spearman" in header["task sts"]
    assert "pooled: all examples of tasks with classes together" in header["numbers"]
    baseline = table.rows[0]
    assert baseline.baseline
    assert stat(baseline, "sts.pearson").mean == 0
    assert json.loads(table_json(table))["tasks"][0]["targets"] == [4, 2.5, 5.0]


def test_equal_targets_leave_a_regression_undefined_for_all_rows() -> None:
    table = regression_table(numbers([2, 2, 2], [1, 3, 2]), numbers([2, 2, 2], [1, 1, 1]))
    assert {row.cells["sts.pearson"].stat for row in table.rows} == {None}
    assert stat(rows(table)["arm0"], "macro").mean == approx(0.8), "of sst2 alone"
    (note,) = table.notes
    assert note.text == (
        "sts: Pearson and Spearman are n/a and left out of macro: all validation targets are equal"
    )


def test_without_classes_nothing_is_pooled() -> None:
    table = regression_table(numbers([1, 2, 3], [1, 2, 4]), classes=False)
    assert not [column.key for column in table.columns if column.key.startswith("pooled")]


def test_leak_weighs_tasks_by_examples_and_shows_only_where_measured() -> None:
    planned = trial("naive_concat_union", PAIR)
    results = {
        "sst2": {"confusion": right(8, 10), "leak": 0.1},
        "mrpc": {"confusion": right(20, 30), "leak": 0.3},
    }
    leaking = record(planned, results={"validation": results})
    table = comparison([planned], by_key(leaking))
    assert stat(rows(table)["naive_concat_union"], "leak").mean == approx(0.25)
    without = table_of(multi("naive_concat", 41, {"sst2": 8}))
    assert "leak" not in [column.key for column in without.columns]


def test_differences_are_paired_by_seed() -> None:
    extra, _ = multi("shared_encoder", 43, {"sst2": 5})
    table = table_of(
        single(41, {"sst2": 6}),
        single(42, {"sst2": 9}),
        single(43, {"sst2": 1}),
        multi("shared_encoder", 41, {"sst2": 7}),
        multi("shared_encoder", 42, {"sst2": 10}),
        (extra, []),
    )
    (gap,) = table.differences
    assert gap.macro is not None
    assert gap.macro.by_seed == {41: approx(0.1), 42: approx(0.1)}
    assert gap.macro.std == approx(0, abs=1e-12), "both seeds gained the same"
    assert gap.tasks["sst2"] == gap.macro


@pytest.mark.parametrize(
    ("single_scores", "shared_scores", "words"),
    [
        ((6, 7), (7, 9), ["15.00 points ahead", "per seed +10.00 to +20.00 points", "2 paired"]),
        ((7, 9), (6, 7), ["15.00 points behind", "per seed -20.00 to -10.00 points"]),
        (
            (6, 7),
            (7, 6),
            ["on average 0.00 points from single_task", "per seed -10.00 to +10.00 points"],
        ),
        ((6, 7), (9, 6), ["10.00 points ahead of single_task, though not in every seed"]),
        ((6,), (7,), ["10.00 points ahead", "1 paired seed: the spread between seeds is unknown"]),
    ],
)
def test_the_verdict_says_which_way_and_how_sure(single_scores, shared_scores, words) -> None:
    parts = [single(41 + i, {"sst2": n}) for i, n in enumerate(single_scores)]
    parts += [multi("shared_encoder", 41 + i, {"sst2": n}) for i, n in enumerate(shared_scores)]
    (text,) = table_of(*parts).verdict
    for expected in [*words, "no claim of significance"]:
        assert expected in text


def test_the_verdict_owns_up_to_picking_the_best_of_several_and_to_bad_trials() -> None:
    plan, _ = multi("shared_encoder", 42, {"sst2": 9})
    bad = record(plan[0], status="failed", error="boom")
    table = table_of(
        single(41, {"sst2": 8}),
        multi("naive_concat", 41, {"sst2": 6}),
        multi("shared_encoder", 41, {"sst2": 9}),
        (plan, [bad]),
    )
    (text,) = table.verdict
    assert "the best multi-task arm, shared_encoder" in text
    assert "best of 2 arms" in text
    assert "30.00 points ahead of naive_concat" in text
    assert "see the notes" in text


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "adapted alone"])
def test_the_plain_arm_is_subtracted_where_there_is_one(plain: bool) -> None:
    arm = {"strategy": "single_task", "adapter": {"rank": 4}}
    adapted = trial("lora_per_task", ["sst2"], arm=arm)
    table = table_of(
        ([adapted], [record(adapted, {"sst2": right(9, 10)})]),
        *([single(41, {"sst2": 8})] if plain else []),
        multi("shared_encoder", 41, {"sst2": 7}),
    )
    gaps = {entry.label: entry.macro.mean for entry in table.differences if entry.macro}
    assert gaps["shared_encoder"] == approx(-0.1 if plain else -0.2)
    heads = [head.title for head in views.difference(table).heads]
    assert ("minus" in heads) == (not plain)
    assert ("reference" in table_json(table)) == (not plain)


@pytest.mark.parametrize(
    ("shared", "words"),
    [
        ({"cola": 8, "mrpc": 9}, "It is behind on no task."),
        ({"cola": 10, "mrpc": 7}, "It is behind on mrpc (-10.00 points accuracy)."),
        (
            {"cola": 6, "mrpc": 7},
            "It is behind on cola (-0.400 MCC) and mrpc (-10.00 points accuracy).",
        ),
    ],
)
def test_the_verdict_names_the_tasks_that_lose(shared: dict[str, int], words: str) -> None:
    headlines = {"cola": "matthews", "mrpc": "accuracy"}
    alone = [trial("single_task", {task: metric}) for task, metric in headlines.items()]
    together = trial("shared_encoder", headlines)
    records = by_key(
        *(
            record(planned, {task: right(8, 10) for task in planned.config.tasks})
            for planned in alone
        ),
        record(together, {task: right(n, 10) for task, n in shared.items()}),
    )
    (text,) = comparison([*alone, together], records).verdict
    assert words in text


def test_the_verdict_names_the_arms_that_lack_seeds() -> None:
    plan, _ = multi("naive_concat", 42, {"sst2": 9})
    bad = record(plan[0], status="diverged", error="the loss is nan")
    table = table_of(
        *(single(seed, {"sst2": 8}) for seed in (41, 42)),
        *(multi("shared_encoder", seed, {"sst2": 7}) for seed in (41, 42)),
        multi("naive_concat", 41, {"sst2": 10}),
        (plan, [bad]),
    )
    (text,) = table.verdict
    assert "Not in it for lack of paired seeds: naive_concat (1 of 2)." in text


def test_each_model_has_its_own_reference_and_sentences() -> None:
    table = table_of(
        single(41, {"sst2": 6}, model="a"),
        multi("shared_encoder", 41, {"sst2": 7}, model="a"),
        multi("shared_encoder", 41, {"sst2": 9}, model="b"),
    )
    (gap,) = table.differences
    assert gap.macro is not None
    assert (gap.model, gap.macro.mean) == ("a", approx(0.1))
    assert "b: no single_task arm" in table.verdict[1]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "validation split; last epoch reported; nothing selected on it"),
        (
            {"training": {"keep": "best"}},
            "best epoch chosen on a selection split of 10 % carved from train",
        ),
        (
            {"training": {"early_stopping": {}}, "selection": {"fraction": 0.25}},
            "stopped early on a selection split of 25 % carved from train",
        ),
        ({"selection": {"enabled": "always"}}, "is held out, nothing selected on it"),
    ],
)
def test_the_header_names_the_protocol(changes: dict, text: str) -> None:
    planned = trial(**changes)
    assert text in dict(comparison([planned], by_key(record(planned))).header)["protocol"]


def test_the_header_names_budget_data_and_seeds() -> None:
    planned = trial(
        "shared_encoder", ["cola"], training={"epochs": 2, "learning_rate": 3e-5}, seed=7
    )
    header = dict(comparison([planned], by_key(record(planned))).header)
    assert "2 passes" in header["budget"]
    assert "batch size 32, learning rate 3e-05" in header["budget"]
    assert header["seeds"] == "7"
    print_ = planned.config.fingerprints["cola"]
    line = header["task cola"]
    for word in ("demo (made here)", "100 train", "20 validation", "50.00 %", print_[:12]):
        assert word in line
    assert print_[:13] not in line


def test_the_header_says_whose_budget_is_another() -> None:
    plan = [
        trial("shared_encoder", ["cola"], training={"epochs": 6}),
        trial("single_task", ["cola"], training={"epochs": 3, "optimizer": "adamax"}),
        trial(
            "less",
            ["cola"],
            arm={"strategy": "single_task"},
            training={"epochs": 3, "optimizer": "adamax"},
        ),
        trial(
            "tenth",
            ["cola"],
            arm={"strategy": "single_task"},
            training={
                "epochs": 3,
                "warmup": 0.1,
                "layer_decay": 0.9,
                "ema_decay": 0.99,
                "deterministic": False,
            },
            limits={"train_fraction": 0.1, "max_train_examples": 500},
        ),
    ]
    budgets = dict(comparison(plan, {}).header)["budget"].split(" / ")
    names, texts = zip(*(text.split(": ", 1) for text in budgets), strict=True)
    assert names == ("shared_encoder", "single_task, less", "tenth")
    assert "6 passes" in texts[0]
    assert "adamax" in texts[1]
    assert "adamax" not in texts[0]
    for words in (
        "warm-up 0.1",
        "layer decay 0.9",
        "averaged weights (0.99)",
        "not deterministic",
        "at most 500 train",
    ):
        assert words in texts[2]
    assert texts[2].endswith("10 % of the train examples")


def test_a_label_names_the_row() -> None:
    arm = {"strategy": "shared_encoder", "label": "one for all"}
    planned = trial("mine", ["sst2"], arm=arm)
    row = comparison([planned], by_key(record(planned))).rows[-1]
    assert (row.label, row.arm) == ("one for all", "mine")


def test_another_split_is_reported_where_there_is_one_and_named_where_not() -> None:
    planned = trial("shared_encoder", ["sst2"], training={"keep": "best"})
    results = {
        s: {"sst2": {"confusion": right(n, 10)}} for s, n in (("validation", 6), ("selection", 9))
    }
    records = by_key(record(planned, results=results))
    table = comparison([planned], records, split="selection")
    assert stat(table.rows[-1], "macro").mean == approx(0.9)
    assert "optimistic" in dict(table.header)["protocol"]
    with pytest.raises(ConfigError, match=r"split=test: .* selection or validation"):
        comparison([planned], records, split="test")


def test_two_trials_in_one_place_are_refused() -> None:
    plan = [trial(training={"learning_rate": rate}) for rate in (1e-5, 2e-5)]
    with pytest.raises(ConfigError, match=f"{plan[0].key} and {plan[1].key}"):
        comparison(plan, {})


def test_an_empty_plan_is_refused() -> None:
    with pytest.raises(ConfigError, match="no trials"):
        comparison([], {})


def test_curves_follow_the_headline_per_epoch_over_seeds() -> None:
    plan = [trial("shared_encoder", ["sst2"], seed=seed) for seed in (41, 42)]
    records = []
    for planned, scores in zip(plan, ((5, 7), (7, 9)), strict=True):
        history = [
            {
                "epoch": epoch,
                "step": epoch,
                "examples": epoch,
                "seconds": 1.0,
                "learning_rate": 1e-5,
                "train_loss": 0.5,
                "splits": {"validation": {"sst2": {"confusion": right(n, 10)}}},
            }
            for epoch, n in enumerate(scores, 1)
        ]
        records.append(record(planned, history=history))
    (curve,) = comparison(plan, by_key(*records)).curves
    assert [(e, stat.mean, stat.n) for e, stat in curve.points] == [
        (1, approx(0.6), 2),
        (2, approx(0.8), 2),
    ]


def test_the_table_is_the_same_whatever_the_order_of_the_records() -> None:
    parts = [
        single(41, {"sst2": 6, "mrpc": 5}),
        multi("shared_encoder", 41, {"sst2": 7, "mrpc": 6}),
    ]
    plan = [planned for trials, _ in parts for planned in trials]
    records = by_key(*(ended for _, records in parts for ended in records))
    assert comparison(plan, records) == comparison(plan, dict(reversed(records.items())))


def test_results_that_a_diverged_trial_left_are_not_in_the_mean() -> None:
    plan, _ = multi("shared_encoder", 42, {"sst2": 1})
    diverged = record(plan[0], {"sst2": right(1, 10)}, status="diverged", error="NaN")
    table = table_of(multi("shared_encoder", 41, {"sst2": 8}), (plan, [diverged]))
    assert stat(rows(table)["shared_encoder"], "sst2.accuracy").by_seed == {41: approx(0.8)}


def test_an_arm_with_fewer_paired_seeds_is_not_called_the_best() -> None:
    table = table_of(
        *(single(seed, {"sst2": 7}) for seed in (41, 42)),
        *(multi("naive_concat", seed, {"sst2": 8}) for seed in (41, 42)),
        multi("shared_encoder", 41, {"sst2": 10}),
    )
    assert "the best multi-task arm, naive_concat," in table.verdict[0]


def some_of_the_tasks() -> Table:
    """Two seeds of a full arm, two of one for sst2 alone, one of them missing."""
    arm = {"strategy": "single_task", "tasks": ["sst2"]}
    plan = [trial("alone", {"sst2": "accuracy"}, seed=seed, arm=arm) for seed in (41, 42)]
    return table_of(
        *(single(seed, {"sst2": 7, "mrpc": 6}) for seed in (41, 42)),
        (plan, [record(plan[0], {"sst2": right(9, 10)})]),
    )


def test_an_arm_of_some_tasks_is_complete_without_the_others() -> None:
    table = some_of_the_tasks()
    row = rows(table)["alone"]
    assert (row.seeds_complete, row.seeds_planned, row.models) == (1, 2, 1)
    assert stat(row, "sst2.accuracy").n == 1
    assert stat(row, "train_seconds").n == 1
    assert row.cells["mrpc.accuracy"] == Cell(None)
    assert [note.kind for note in table.notes] == ["missing"], "for the seed, not for the task"


def test_an_arm_of_some_tasks_has_no_mean_over_all() -> None:
    table = some_of_the_tasks()
    row = rows(table)["alone"]
    assert all(row.cells[key].stat is None for key in ("macro", "pooled.accuracy", "pooled.f1"))
    (gap,) = table.differences
    assert gap.macro is None
    assert gap.tasks["mrpc"] is None
    assert gap.tasks["sst2"] is not None
    assert gap.tasks["sst2"].by_seed == {41: approx(0.2)}


def test_the_reference_is_trained_on_all_tasks_where_there_is_such_a_row() -> None:
    arm = {"strategy": "single_task", "tasks": ["sst2"]}
    alone = trial("alone", {"sst2": "accuracy"}, arm=arm)
    parts = [
        ([alone], [record(alone, {"sst2": right(9, 10)})]),
        single(41, {"sst2": 7, "mrpc": 6}),
        multi("shared_encoder", 41, {"sst2": 8, "mrpc": 8}),
    ]
    table = table_of(*parts)
    assert [gap.label for gap in table.differences] == ["alone", "shared_encoder"]
    assert "shared_encoder, is 15.00 points ahead of single_task" in table.verdict[0]


def test_without_an_arm_of_all_tasks_the_verdict_says_so() -> None:
    plan = [trial(t, {t: "accuracy"}, arm={"strategy": "single_task"}) for t in PAIR]
    (text,) = comparison(plan, by_key(*map(record, plan))).verdict
    assert (
        text == "tiny: no arm is trained on all tasks of this table, so it has no mean over them."
    )


@pytest.mark.parametrize(
    ("arm", "text"),
    [
        ({"strategy": "single_task"}, "an encoder and a head per task"),
        ({"strategy": "naive_concat"}, "all examples pooled, one classifier"),
        (
            {
                "strategy": "shared_encoder",
                "label": "mine",
                "sampling": {"batch": "joint"},
                "weighting": {"name": "dwa", "temperature": 3.0},
                "aggregation": {"name": "pcgrad"},
            },
            "one encoder, a head per task; sampling interleave (batch joint); "
            "weighting dwa (temperature 3.0); aggregation pcgrad",
        ),
        (
            {
                "strategy": "single_task",
                "tasks": ["cola", "sst2"],
                "train_fraction": 0.01,
                "training": {"warmup": 0.0},
                "task_heads": {"cola": {"dropout": 0.05}, "sst2": {"name": "mean"}},
                "start_from": "before",
                "distillation": {"teachers": "before"},
                "adapter": {"rank": 8},
            },
            "an encoder and a head per task; tasks cola, sst2; train_fraction 0.01; "
            "training warmup 0.0; task_heads cola pooler (dropout 0.05), sst2 mean; adapter lora; "
            "start_from before; distillation (teachers before)",
        ),
    ],
)
def test_a_row_names_its_method_whatever_it_is_called(arm: dict, text: str) -> None:
    planned = trial("foo", ["cola", "sst2"], arm=arm)
    assert rows(comparison([planned], {}))[arm.get("label", "foo")].method == text


def test_the_header_speaks_of_the_most_examples_that_a_trial_saw_and_of_the_grids_share() -> None:
    arm = {"strategy": "single_task", "train_fraction": 0.1}
    plan = [
        trial("tenth", ["sst2"], arm=arm, limits={"train_fraction": 0.1}),
        trial("single_task", ["sst2"], limits={"train_fraction": 0.5}),
    ]
    sizes = [{"sst2": {"train": n, "validation": 20}} for n in (10, 50)]
    records = [
        record(planned, examples_per_split=split)
        for planned, split in zip(plan, sizes, strict=True)
    ]
    header = dict(comparison(plan, by_key(*records)).header)
    assert "50 train" in header["task sst2"]
    assert "50 % of the train examples" in header["budget"]
    assert "10 %" not in header["budget"]
