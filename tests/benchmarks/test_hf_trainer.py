"""Trainer, the reference of measurements, trains what it is given and times it."""

from pathlib import Path

import pytest

from benchmarks.hf_trainer import Examples, train_with_trainer

SINGLE = Examples([("good film",), ("bad film",)] * 6, [1, 0] * 6)
PAIRS = Examples([("good", "fine"), ("bad", "a bad film")] * 3, [1, 0] * 3)


@pytest.mark.parametrize(("train", "grouped"), [(SINGLE, False), (PAIRS, True)])
def test_a_task_is_trained_and_timed(tiny_bert: Path, train: Examples, grouped: bool) -> None:
    run = train_with_trainer(
        tiny_bert, train, train, batch_size=4, epochs=2, max_length=16, group_by_length=grouped
    )
    assert run.steps == 2 * -(-len(train.labels) // 4)
    assert run.trained == run.evaluated == 2 * len(train.labels)
    assert min(run.startup, run.training, run.evaluation) > 0
    assert 0 <= run.accuracy <= 1
