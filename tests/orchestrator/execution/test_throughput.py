"""Trials an hour are measured for real, by processes on the CPU."""

from pathlib import Path

import pytest

from orchestrator.execution import throughput
from orchestrator.execution.throughput import ThroughputError, measure_sharing, throughput_curve
from tests.helpers.trials import runtime, trial_config

SECONDS = 0.3


def test_processes_train_side_by_side(tiny_bert: Path, tmp_path: Path) -> None:
    config = trial_config("single_task", tiny_bert)
    curve = throughput_curve(config, runtime(tmp_path), {1: 2, 2: 1}, 80, SECONDS)
    assert [point.at_once for point in curve] == [1, 2]
    rates = [point.trials_per_hour for point in curve]
    assert all(rate is not None and rate > 0 for rate in rates)
    assert not list((tmp_path / "run").iterdir())


def test_short_trials_are_not_measured_further(tiny_bert: Path, tmp_path: Path) -> None:
    config = trial_config("single_task", tiny_bert)
    sharing = measure_sharing(
        config, runtime(tmp_path), {1: 1, 2: 1}, examples=80, trials=10, seconds=SECONDS
    )
    assert sharing.curve == ()
    assert sharing.note == "the trials of a GPU take less than 10 minutes one after the other"


def test_out_of_memory_ends_the_measurement(tiny_bert: Path, tmp_path: Path) -> None:
    config = trial_config("single_task", tiny_bert, batch_size=32)
    small = runtime(tmp_path, memory=0.001)
    sharing = measure_sharing(config, small, {1: 1, 2: 1}, examples=80, trials=10, seconds=SECONDS)
    assert sharing.curve == ((1, None),)
    assert sharing.choose(2) == 1


def test_a_measurement_that_fails_leaves_it_to_memory(tiny_bert: Path, tmp_path: Path) -> None:
    config = trial_config("single_task", tiny_bert)
    absent = runtime(tmp_path, device="cuda:7")
    sharing = measure_sharing(config, absent, {1: 1, 2: 1}, examples=80, trials=10)
    assert sharing.curve == ()
    assert sharing.note.startswith("not measured, ")
    assert "device=cuda:7: this machine lacks that GPU" in sharing.note


def test_a_process_that_hangs_is_ended(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throughput, "LEVEL_SECONDS", 0.1)
    with pytest.raises(ThroughputError, match=r"no answer within 0\.1 s"):
        throughput_curve(
            trial_config("single_task", tiny_bert), runtime(tmp_path), {1: 1}, 80, SECONDS
        )
