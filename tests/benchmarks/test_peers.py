"""The comparison with Trainer trains the same examples on both sides, and says what is faster."""

from pathlib import Path

import pytest

from benchmarks.one_training import SIDES, train
from benchmarks.peers import grids_table, trials_table
from orchestrator.config.experiment import load_single_trial
from orchestrator.planning.grid import Grid
from tests.helpers.command import tiny


@pytest.mark.parametrize(
    ("arm", "tasks"),
    [("single_task", "paraphrase"), ("naive_concat", "sentiment,paraphrase")],
)
def test_both_sides_train_the_same_examples(
    arm: str, tasks: str, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GLUE_DIR", raising=False)
    limits = ["limits.max_train_examples=24", "limits.max_validation_examples=10"]
    settings = ["training={epochs: 2, batch_size: 8}", tiny(tiny_bert), *limits]
    single = load_single_trial(arm, [f"tasks=[{tasks}]", "model=tiny", *settings])
    [config] = Grid(single).trials_of(arm, "tiny", 41)
    trained = [train(side, config, None, 1) for side in SIDES]
    each = 2 * (24 + 10) * len(config.tasks)
    assert [run.examples for run in trained] == [each, each]
    for run in trained:
        assert min(run.startup, run.seconds, run.limit) > 0
        assert 0 <= run.accuracy <= 1


def test_ratios_are_those_of_each_round() -> None:
    def figures(seconds: float) -> dict[str, float]:
        return {"seconds": seconds, "limit": 1.0, "startup": 2.0, "megabytes": 3.0, "accuracy": 0.5}

    runs = {"cola": {"Trainer fp32": [figures(8), figures(20)], "trial": [figures(4), figures(5)]}}
    last = trials_table(runs).splitlines()[-1]
    assert last == "| cola | trial | 4.5 | 3.00 (2.00–4.00) | 22% | 2.0 s | 3 MB | 50.0 % |"


def test_a_grid_is_compared_with_the_faster_trainer_of_its_round() -> None:
    seconds = {"Trainer, a": [10.0, 8.0], "Trainer, b": [6.0, 12.0], "ours": [3.0, 2.0]}
    assert grids_table(seconds).splitlines()[-1] == "| ours | 2 | 3.00 |"
