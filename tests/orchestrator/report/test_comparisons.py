"""Differences with intervals and verdicts, from predictions; and what the answer says of them."""

import json
from typing import Any

import numpy as np
import pytest

from orchestrator.analysis.intervals import mean_difference
from orchestrator.analysis.looks import Look
from orchestrator.analysis.pseudo_values import of_classes, of_numbers
from orchestrator.report.render import table_json
from orchestrator.report.table import ComparedRows, Table, comparison
from tests.helpers.records import Trial, by_key, record, trial
from trainables.results.metrics import counts, moments, ranks, trimmed
from trainables.results.predictions import Predictions
from trainables.results.record import Moments

EXAMPLES = 400
LABELS = np.arange(EXAMPLES) % 2


def predicted(rng: np.random.Generator, accuracy: float) -> np.ndarray:
    wrong = rng.random(EXAMPLES) > accuracy
    return np.where(wrong, 1 - LABELS, LABELS)


class Grid:
    """Trials with predictions, whose records follow from them."""

    def __init__(self) -> None:
        self.plan: list[Trial] = []
        self.records: list[Any] = []
        self.predictions: dict[str, dict[str, Predictions]] = {}

    def add(self, arm: str, seed: int, tasks: dict[str, np.ndarray], **changes: Any) -> None:
        """One seed of an arm; of ``single_task`` a trial per task."""
        groups = [[task] for task in tasks] if arm.startswith("single") else [list(tasks)]
        for names in groups:
            planned = trial(arm, names, seed=seed, **changes)
            own = {task: Predictions(LABELS, tasks[task]) for task in names}
            confusions = {
                task: trimmed(counts(LABELS, part.predictions, 2)).tolist()
                for task, part in own.items()
            }
            self.plan.append(planned)
            self.records.append(record(planned, confusions))
            self.predictions[planned.key] = own

    def table(self, **options: Any) -> Table:
        options = {"predictions": self.predictions} | options
        return comparison(self.plan, by_key(*self.records), **options)


def grid(seeds: int = 5, tasks: tuple[str, ...] = ("sst2", "mrpc"), **accuracy: float) -> Grid:
    """Arms with these accuracies on all tasks, of ``single_task`` .8 unless it is given."""
    rng = np.random.default_rng(0)
    made = Grid()
    for arm, mean in ({"single_task": 0.8} | accuracy).items():
        for seed in range(41, 41 + seeds):
            made.add(arm, seed, {task: predicted(rng, mean) for task in tasks})
    return made


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


@pytest.mark.parametrize(
    ("accuracy", "words"),
    [
        (
            {"shared_encoder": 0.9},
            [
                "tiny: one model, shared_encoder, can replace the 2 models of single_task (1.0 k "
                "parameters in place of 2.0 k).",
                "shared_encoder is better than single_task on the macro average: +",
                "(95 %, 5 seeds, 400 examples).",
                "Its worst task: shared_encoder is better than single_task on ",
            ],
        ),
        (
            {"shared_encoder": 0.6},
            ["tiny: keep the 2 models of single_task", "shared_encoder is worse than single_task"],
        ),
        (
            {"shared_encoder": 0.8, "seeds": 10},
            [
                "can replace the 2 models",
                "shared_encoder is equivalent to single_task within 2 points on the macro average",
                "(90 %, 10 seeds",
            ],
        ),
        (
            {"shared_encoder": 0.82},
            [
                "tiny: not decided yet whether one model can replace the 2 models",
                "shared_encoder against single_task on the macro average is undecided: +",
                "; no worse than -2.",
                "more seeds would settle it with a chance of ",
                "seeds=[41,42,43,44,45,46",
            ],
        ),
        (
            {"shared_encoder": 0.9, "naive_concat": 0.8},
            ["best of 2 arms, interval widened for that", "better than naive_concat"],
        ),
    ],
)
def test_the_answer(accuracy: dict[str, Any], words: list[str]) -> None:
    text = "\n".join(grid(**accuracy).table().verdict)
    for expected in words:
        assert expected in text


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
    assert "(97.5 %, 5 seeds, 400 examples)" in first.verdict[0]
    assert "5 %, in place of 5" not in only.verdict[-1]
    assert first.verdict[-1].startswith("Each word above has a chance of error of 2.5 %")
    # Advice is about the next look, also where none is planned.
    assert only.comparisons[0].chance == first.comparisons[0].chance
    told = json.loads(table_json(first))["look"]
    assert told == {
        "number": 1, "of": 2, "seeds": 5, "looks": [5, 10], "added": [], "level": 0.025,
        "missing": 0, "undecided": ["shared_encoder against single_task (tiny)"], "impossible": [],
    }  # fmt: skip


def test_one_seed_says_nothing_about_retraining() -> None:
    table = grid(seeds=1, shared_encoder=0.9).table()
    assert {c.word for c in table.comparisons} == {"undecided"}
    (text,) = table.verdict
    assert "one seed says nothing about retraining; these models differ by +" in text
    assert "To learn more run it with seeds=[41,42,43,44,45]." in text


def test_equal_seeds_are_one_seed() -> None:
    made = grid(seeds=3, shared_encoder=0.9)
    same = {
        task: made.predictions[next(t.key for t in made.plan if "shared" in t.config.arm_name)][
            task
        ]
        for task in ("sst2", "mrpc")
    }
    again = Grid()
    for planned in made.plan:
        if planned.config.arm_name == "single_task":
            again.plan.append(planned)
            again.predictions[planned.key] = made.predictions[planned.key]
            again.records += [r for r in made.records if r.key == planned.key]
    for seed in (41, 42, 43):
        again.add("shared_encoder", seed, {task: part.predictions for task, part in same.items()})
    (text,) = again.table().verdict
    assert "all seeds of an arm predict the same, so that the seed had no effect" in text


def test_runs_that_predict_one_class_make_it_unstable() -> None:
    made = grid(seeds=4, shared_encoder=0.9)
    rng = np.random.default_rng(9)
    made.add("shared_encoder", 45, {"sst2": np.ones(EXAMPLES, int), "mrpc": predicted(rng, 0.9)})
    made.add("single_task", 45, {task: predicted(rng, 0.8) for task in ("sst2", "mrpc")})
    found = lines(made.table())
    macro = found["shared_encoder", "single_task", "macro"]
    assert (macro.word, macro.collapsed) == ("unstable", (1, 0))
    assert found["shared_encoder", "single_task", "mrpc"].word == "better"
    (text,) = made.table().verdict
    assert "tiny: no answer yet, since runs predict one class." in text
    assert (
        "1 of 5 runs of shared_encoder (true rate 0.5 to 72 %) predicted one class on sst2" in text
    )
    assert "among the runs that trained: better, +" in text


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


def test_tuned_rows_are_compared_apart() -> None:
    made = grid(seeds=3, shared_encoder=0.7)
    rng = np.random.default_rng(4)
    for seed in (41, 42, 43):
        for arm, mean in (("shared_encoder", 0.95), ("single_task", 0.8)):
            made.add(
                arm, seed, {task: predicted(rng, mean) for task in ("sst2", "mrpc")}, tuned=True
            )
    table = made.table()
    assert len(table.verdict) == 2
    assert table.verdict[0].startswith("tiny: with tuned settings, one model, shared_encoder,")
    assert table.verdict[1].startswith("tiny: keep the 2 models")
