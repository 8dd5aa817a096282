"""Run directories are merged where data and protocol agree, and refused with reasons else."""

from collections.abc import Sequence
from typing import Any

import pytest

from orchestrator.analysis.looks import LEVEL, Look, level_of
from orchestrator.planning.plan import PlannedTrial
from orchestrator.report.merge import SHOWN, Source, merge
from orchestrator.report.rows import table_rows
from tests.helpers.records import Trial, by_key, record, right, trial
from trainables.errors import ConfigError


def source(name: str, trials: Sequence[Trial], **changes: Any) -> Source:
    """A directory in which all these trials have finished."""
    seeds = len({one.config.seed for one in trials})
    content = {
        "records": by_key(*map(record, trials)),
        "margins": {},
        "data": None,
        "environment": {},
        "look": Look(seeds, (seeds,)),
    }
    planned = [PlannedTrial(one.config, 100, 1.0) for one in trials]
    return Source(name=name, trials=planned, **(content | changes))


def grid(seeds: Sequence[int], arms: Sequence[str] = ("naive_concat",), **changes: Any):
    return [trial(arm, seed=seed, **changes) for arm in arms for seed in seeds]


def rows_of(sources: Sequence[Source]) -> dict[str, list[int]]:
    """Row -> its seeds."""
    merged = merge(sources)
    rows = table_rows(merged.trials, merged.records, "validation")
    return {row.label: [run.seed for run in row.complete] for row in rows}


def test_other_seeds_of_a_cell_become_one_row_at_the_level_of_a_second_look() -> None:
    merged = merge([source("a", grid([1, 2])), source("b", grid([3]))])
    assert rows_of([source("a", grid([1, 2])), source("b", grid([3]))]) == {
        "naive_concat": [1, 2, 3]
    }
    assert merged.look.level == level_of(2)
    assert dict(merged.header)["row naive_concat tiny"] == "a: seeds 1, 2; b: seed 3"
    assert merged.look.all == (2, 3)


def test_other_arms_and_models_become_rows_at_the_usual_level() -> None:
    sources = [
        source("a", grid([1, 2])),
        source("b", grid([1, 2], ["shared_encoder"])),
        source("c", grid([1, 2], model="other")),
    ]
    merged = merge(sources)
    assert merged.look.level == LEVEL
    rows = table_rows(merged.trials, merged.records, "validation")
    assert [(row.arm, row.model) for row in rows] == [
        ("naive_concat", "tiny"),
        ("shared_encoder", "tiny"),
        ("naive_concat", "other"),
    ]


def test_an_arm_with_other_settings_is_a_row_of_its_own() -> None:
    other = {"strategy": "naive_concat", "training": {"learning_rate": 1e-3}}
    sources = [
        source("a", grid([1, 2])),
        source("b", grid([1, 2], arm=other, training={"learning_rate": 1e-3})),
        source("c", grid([3], arm=other, training={"learning_rate": 1e-3})),
    ]
    assert rows_of(sources) == {"naive_concat": [1, 2], "naive_concat (b)": [1, 2, 3]}
    remark = dict(merge(sources).header)["other settings"]
    assert "training.learning_rate: 5e-05 in a, 0.001 in b" in remark


def test_the_same_trial_in_two_directories_counts_once() -> None:
    both = [source("a", grid([1, 2])), source("b", grid([1, 2, 3]))]
    merged = merge(both)
    assert rows_of(both) == {"naive_concat": [1, 2, 3]}
    assert merged.origins[trial("naive_concat", seed=1).key] == ("a", "b")
    assert merged.look.level == level_of(2)


def test_the_same_trial_with_other_results_is_refused() -> None:
    [one] = grid([1])
    other = record(one, dict.fromkeys(one.config.tasks, right(7, 10)))
    with pytest.raises(ConfigError, match=rf"trial {one.key} .* has other results in a than in b"):
        merge([source("a", [one]), source("b", [one], records=by_key(other))])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_trial_that_failed_in_one_directory_alone_counts(order: tuple[int, int]) -> None:
    trials = grid([1, 2])
    failed = record(trials[0], status="failed", error="out of memory")
    pair = [
        source("a", trials),
        source("b", trials, records=by_key(failed, record(trials[1]))),
    ]
    assert rows_of([pair[i] for i in order]) == {"naive_concat": [1, 2]}


def test_missing_trials_stay_planned() -> None:
    merged = merge([source("a", grid([1])), source("b", grid([2]), records={})])
    assert len(merged.trials) == 2
    assert len(merged.records) == 1


DIFFERENT = {
    "tasks": ({"tasks": ("cola", "sst2")}, "tasks: cola, mrpc, sst2 in a, cola, sst2 in b"),
    "headline": (
        {"tasks": {"cola": "accuracy", "sst2": "accuracy", "mrpc": "accuracy"}},
        "tasks.cola.headline: matthews in a, accuracy in b",
    ),
    "data": (
        {"fingerprints": {"cola": "0" * 64, "sst2": "1" * 64, "mrpc": "2" * 64}},
        "data of cola: ",
    ),
    "training": ({"training": {"epochs": 5}}, "training.epochs: 3 in a, 5 in b"),
    "a section that one has not": (
        {"training": {"early_stopping": {"patience": 2}}},
        "training.early_stopping: None in a, {'patience': 2,",
    ),
    "limits": (
        {"limits": {"max_validation_examples": 5}},
        "limits.max_validation_examples: None in a, 5 in b",
    ),
    "share of train": ({"limits": {"train_fraction": 0.5}}, "limits.train_fraction: None in a"),
    "selection": ({"selection": {"enabled": "always"}}, "selection.enabled: auto in a, always in"),
    "code": ({"code_schema": 1}, "code_schema: 2 in a, 1 in b"),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_what_differs_in_data_or_protocol_is_refused_by_its_key(what: str) -> None:
    changes, message = DIFFERENT[what]
    with pytest.raises(ConfigError) as error:
        merge([source("a", grid([1])), source("b", grid([2], **changes))])
    assert str(error.value).startswith("a, b cannot be compared: ")
    assert message in str(error.value)


def test_models_of_one_name_must_be_one() -> None:
    [one] = grid([2])
    shorter = one.config.model.model_copy(update={"max_length": 64})
    config = one.config.model_copy(update={"model": shorter})
    with pytest.raises(ConfigError, match=r"models.tiny.max_length: 128 in a, 64 in b"):
        merge([source("a", grid([1])), source("b", [Trial(config.key, config)])])


def test_a_look_at_test_changes_no_number_of_the_table() -> None:
    training = {"evaluate_test": True, "predict_test": True}
    sources = [source("a", grid([1])), source("b", grid([2], training=training))]
    assert rows_of(sources) == {"naive_concat": [1, 2]}


def test_a_refusal_lists_a_few_differences_and_counts_the_rest() -> None:
    training = {"optimizer": "adamax", "label_smoothing": 0.1} | dict.fromkeys(
        ("epochs", "batch_size", "eval_batch_size", "gradient_accumulation", "learning_rate"), 7
    )
    more = {"weight_decay": 7.0, "max_grad_norm": 7.0, "schedule": "cosine", "keep": "best"}
    with pytest.raises(ConfigError, match=r"and 1 more$") as error:
        merge([source("a", grid([1])), source("b", grid([2], training=training | more))])
    assert str(error.value).count(" in a, ") == SHOWN


def test_number_formats_must_agree() -> None:
    one, other = grid([1]), grid([2])
    sources = [
        source("a", one, records=by_key(record(one[0], precision="bf16"))),
        source("b", other, records=by_key(record(other[0], precision="fp32"))),
    ]
    with pytest.raises(ConfigError, match=r"training.precision\): bf16 in a, fp32 in b"):
        merge(sources)


def test_margins_must_agree_unless_the_command_sets_them() -> None:
    sources = [
        source("a", grid([1]), margins={"macro": 0.01, "cola": 0.05}),
        source("b", grid([2]), margins={"cola": 0.05}),
    ]
    with pytest.raises(ConfigError, match=r"compared: margins.macro: 1 in a, default in b$"):
        merge(sources)
    merged = merge(sources, {"macro": 0.03})
    assert merged.margins == {"macro": 0.03, "cola": 0.05}
    assert "after the runs" in dict(merged.header)["margins chosen"]


def test_another_set_of_teachers_is_no_other_seed() -> None:
    with pytest.raises(ConfigError, match="which learn from other trials"):
        merge(
            [
                source("a", grid([1], teachers={"cola": ["0" * 12]})),
                source("b", grid([1], teachers={"cola": ["1" * 12]})),
            ]
        )


def test_other_machines_and_libraries_are_a_warning() -> None:
    one = {"packages": {"torch": "2.9", "wandb": "1"}, "cpu": "x", "memory_gib": 8}
    other = {"packages": {"torch": "2.8", "wandb": "2"}, "cpu": "x", "memory_gib": 16}
    [warning] = merge(
        [source("a", grid([1]), environment=one), source("b", grid([2]), environment=other)]
    ).warnings
    assert warning.endswith("last digits: torch: 2.9 in a, 2.8 in b")
    assert not merge([source("a", grid([1])), source("b", grid([2]), environment=one)]).warnings
