"""The comparison with others trains the same examples on all sides, and says what is faster."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.one_training import SIDES, load_config, train
from benchmarks.peers import grids_table, multitask_table, take_turns, trials_table
from tests.helpers.command import tiny


@pytest.mark.parametrize(
    ("tasks", "by_task"), [("paraphrase", ["paraphrase"]), ("sentiment,paraphrase", [])]
)
def test_both_sides_train_the_same_examples(
    tasks: str, by_task: list[str], tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GLUE_DIR", raising=False)
    limits = ["limits.max_train_examples=24", "limits.max_validation_examples=10"]
    settings = ["training={epochs: 2, batch_size: 8}", tiny(tiny_bert), *limits]
    config, glue = load_config(tasks, "fp32", ["model=tiny", *settings])
    trained = [train(side, config, glue, 1) for side in SIDES]
    each = 2 * (24 + 10) * len(config.tasks)
    assert [run.examples for run in trained] == [each, each]
    for run in trained:
        assert min(run.startup, run.seconds, run.limit) > 0
        assert 0 <= run.accuracy <= 1
    trial, trainer = trained
    assert list(trial.accuracies) == tasks.split(",")
    assert list(trainer.accuracies) == by_task


def test_every_way_has_a_turn_in_every_round() -> None:
    order: list[str] = []

    def way(name: str) -> int:
        order.append(name)
        return len(order)

    ways = {name: partial(way, name) for name in "abc"}
    results = take_turns(4, "what", ways)
    assert [sorted(order[turn : turn + 3]) for turn in range(0, 12, 3)] == [["a", "b", "c"]] * 4
    assert len({tuple(order[turn : turn + 3]) for turn in range(0, 12, 3)}) > 1
    assert results == {
        name: [index + 1 for index, turn in enumerate(order) if turn == name] for name in "abc"
    }


def test_ratios_are_those_of_each_round() -> None:
    def figures(seconds: float) -> dict[str, float]:
        return {"seconds": seconds, "limit": 1.0, "startup": 2.0, "megabytes": 3.0, "accuracy": 0.5}

    runs = {"cola": {"Trainer fp32": [figures(8), figures(20)], "trial": [figures(4), figures(5)]}}
    last = trials_table(runs).splitlines()[-1]
    assert last == "| cola | trial | 4.5 | 3.00 (2.00–4.00) | 22% | 2.0 s | 3 MB | 50.0 % |"


def test_a_grid_is_compared_with_the_faster_trainer_of_its_round() -> None:
    seconds = {"Trainer, a": [10.0, 8.0], "Trainer, b": [6.0, 12.0], "ours": [3.0, 2.0]}
    assert grids_table(seconds).splitlines()[-1] == "| ours | 2 | 3.00 |"


def test_a_multitask_training_is_compared_with_tasknets_of_its_round() -> None:
    def figures(seconds: float) -> dict[str, Any]:
        accuracies = {"cola": 0.7, "mrpc": seconds / 100}
        return {
            "examples": 60,
            "seconds": seconds,
            "startup": 2.0,
            "megabytes": 3.0,
            "accuracies": accuracies,
        }

    runs = {"tasknet fp32": [figures(8), figures(20)], "ours": [figures(4), figures(5)]}
    lines = multitask_table(runs).splitlines()
    assert lines[0].endswith("| cola accuracy | mrpc accuracy |")
    assert {line.count("|") for line in lines} == {9}
    assert lines[-1] == "| ours | 60 | 4.5 | 3.00 (2.00–4.00) | 2.0 s | 3 MB | 70.0 % | 4.5 % |"
